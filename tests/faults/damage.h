// Damages files as worn-out disks and broken copies do.
#ifndef VERNIER_TESTS_FAULTS_DAMAGE_H_
#define VERNIER_TESTS_FAULTS_DAMAGE_H_

#include <cstdint>
#include <filesystem>
#include <random>
#include <string>

namespace vernier::testing {

// Flips one random bit of [begin, end) of the file, or of all of it; says which.
std::string FlipBit(const std::filesystem::path& file, std::mt19937_64& random);
std::string FlipBit(const std::filesystem::path& file, uint64_t begin, uint64_t end,
                    std::mt19937_64& random);

// Cuts the file to a random shorter length; says which.
std::string Truncate(const std::filesystem::path& file, std::mt19937_64& random);

}  // namespace vernier::testing

#endif  // VERNIER_TESTS_FAULTS_DAMAGE_H_
