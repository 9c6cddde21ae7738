// AES-128 in counter mode (FIPS 197, NIST SP 800-38A), by mbed TLS.
//
// Thread rule: a plain function.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

using Key = std::array<uint8_t, 16>;

/// Writes `text` exclusive-or the key stream, as many bytes, to `into`, which may be `text` itself.
/// The first counter block is 1, as pyaes has it. Encrypts and decrypts.
void ApplyCounterMode(const Key& key, std::string_view text, char* into);
