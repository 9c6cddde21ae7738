#include "counter_mode.h"

#include <mbedtls/aes.h>
#include <mbedtls/platform_util.h>

#include <cstring>

// The table code calls this once a block, for 32 bytes. mbed TLS's own one calls memset through a
// pointer, which in Wasm is a call of the engine.
void mbedtls_platform_zeroize(void* buffer, size_t size) {
  auto* at = static_cast<uint8_t*>(buffer);
  for (; size >= 16; size -= 16, at += 16) std::memset(at, 0, 16);
  for (; size > 0; --size) *at++ = 0;
  asm volatile("" : : "r"(buffer) : "memory");  // No compiler may drop the stores.
}

void ApplyCounterMode(const Key& key, std::string_view text, char* into) {
  mbedtls_aes_context context;
  mbedtls_aes_init(&context);
  mbedtls_aes_setkey_enc(&context, key.data(), 128);
  uint8_t counter[16] = {};
  counter[15] = 1;
  uint8_t stream[16] = {};
  size_t used = 0;
  mbedtls_aes_crypt_ctr(&context, text.size(), &used, counter, stream,
                        reinterpret_cast<const uint8_t*>(text.data()),
                        reinterpret_cast<uint8_t*>(into));
  mbedtls_aes_free(&context);
}
