// XXH3-128: names content in the store, the manifest and fingerprints. Not cryptographic.
#ifndef VERNIER_BASE_HASH_H_
#define VERNIER_BASE_HASH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

struct XXH3_state_s;

namespace vernier {

class Hasher {
 public:
  Hasher();
  void Update(std::span<const std::byte> bytes);
  void Update(std::string_view text);
  // 32 lower-case hexadecimal digits of what was added so far.
  std::string Hex() const;

 private:
  struct FreeState {
    void operator()(XXH3_state_s* state) const;
  };
  std::unique_ptr<XXH3_state_s, FreeState> state_;
};

std::string HashHex(std::string_view text);

// XXH3-64: for sums of many small hashes.
uint64_t Hash64(std::string_view text);

}  // namespace vernier

#endif  // VERNIER_BASE_HASH_H_
