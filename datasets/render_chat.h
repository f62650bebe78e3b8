// The Python program that renders chats, datasets/render_chat.py, as it is in the binary.
#ifndef VERNIER_DATASETS_RENDER_CHAT_H_
#define VERNIER_DATASETS_RENDER_CHAT_H_

namespace vernier::datasets {

// It speaks in JSON lines, as it says at its beginning.
const char* RenderChatProgram();
// Its exit status when Python has no Jinja.
inline constexpr int kNoJinjaStatus = 3;

}  // namespace vernier::datasets

#endif  // VERNIER_DATASETS_RENDER_CHAT_H_
