// What becomes of memory that was freed: forward passes want it again at once, audits want none.
#ifndef VERNIER_TOOLS_FREED_MEMORY_H_
#define VERNIER_TOOLS_FREED_MEMORY_H_

namespace vernier::tools {

// For forward passes: temporaries of the same sizes come and go with every operator. Mapped anew
// each time, their pages cost a quarter of the time.
void KeepFreedMemory();

// What was freed so far goes back to the system, and so does what is freed from now on: glibc raises
// the size from which memory is mapped by itself with every larger buffer that is freed, and what is
// freed below it stays, in pieces. An audit of ten times the bytes then held half as much memory
// again. Fixed, it costs no measurable time there.
void ReturnFreedMemory();

}  // namespace vernier::tools

#endif  // VERNIER_TOOLS_FREED_MEMORY_H_
