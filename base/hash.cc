#include "base/hash.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <new>

namespace vernier {

void Hasher::FreeState::operator()(XXH3_state_s* state) const { XXH3_freeState(state); }

Hasher::Hasher() : state_(XXH3_createState()) {
  if (state_ == nullptr) throw std::bad_alloc();
  XXH3_128bits_reset(state_.get());
}

void Hasher::Update(std::span<const std::byte> bytes) {
  XXH3_128bits_update(state_.get(), bytes.data(), bytes.size());
}

void Hasher::Update(std::string_view text) { Update(std::as_bytes(std::span(text))); }

std::string Hasher::Hex() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

std::string HashHex(std::string_view text) {
  Hasher hasher;
  hasher.Update(text);
  return hasher.Hex();
}

uint64_t Hash64(std::string_view text) { return XXH3_64bits(text.data(), text.size()); }

}  // namespace vernier
