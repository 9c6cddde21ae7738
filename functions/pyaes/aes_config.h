// What of mbed TLS is compiled: AES in counter mode; on x86 with its AES instructions where the
// processor has them.
#pragma once

#define MBEDTLS_AES_C
#define MBEDTLS_CIPHER_MODE_CTR
// counter_mode.cc has mbedtls_platform_zeroize.
#define MBEDTLS_PLATFORM_ZEROIZE_ALT
#if defined(__x86_64__)
#define MBEDTLS_HAVE_ASM
#define MBEDTLS_AESNI_C
#endif
