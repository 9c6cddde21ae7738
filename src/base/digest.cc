#include "base/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <vector>

namespace hybridserve {
namespace {

using MdContext = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

// Calls `sink` with each piece of the file, from offset 0 to its end.
template <typename Sink>
Result<> ReadWhole(int fd, const Sink& sink) {
  std::vector<uint8_t> buffer(256 * 1024);
  off_t offset = 0;
  while (true) {
    const ssize_t got = ::pread(fd, buffer.data(), buffer.size(), offset);
    if (got < 0) {
      if (errno == EINTR) continue;
      return FailErrno("read a file to compute its digest");
    }
    if (got == 0) return {};
    sink(buffer.data(), static_cast<size_t>(got));
    offset += got;
  }
}

Digest Finish(EVP_MD_CTX* context) {
  std::array<uint8_t, 32> out{};
  EVP_DigestFinal_ex(context, out.data(), nullptr);
  return Digest{ToHex(out)};
}

}  // namespace

Digest Sha256(std::string_view bytes) {
  MdContext context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr);
  EVP_DigestUpdate(context.get(), bytes.data(), bytes.size());
  return Finish(context.get());
}

Result<Digest> Sha256OfFile(int fd) {
  MdContext context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr);
  EVP_MD_CTX* raw = context.get();
  TRY(ReadWhole(fd,
                [raw](const uint8_t* data, size_t size) { EVP_DigestUpdate(raw, data, size); }));
  return Finish(raw);
}

Result<Mac> HmacOfFile(const MacKey& key, std::string_view context, int fd) {
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> pkey(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, nullptr, key.data(), key.size()), EVP_PKEY_free);
  MdContext md(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  if (!pkey || !md ||
      EVP_DigestSignInit(md.get(), nullptr, EVP_sha256(), nullptr, pkey.get()) != 1) {
    return Fail(Code::kInternal, "cannot set up HMAC-SHA-256");
  }
  const uint64_t context_size = context.size();
  EVP_DigestSignUpdate(md.get(), &context_size, sizeof(context_size));
  EVP_DigestSignUpdate(md.get(), context.data(), context.size());
  EVP_MD_CTX* raw = md.get();
  TRY(ReadWhole(
      fd, [raw](const uint8_t* data, size_t size) { EVP_DigestSignUpdate(raw, data, size); }));
  Mac mac{};
  size_t size = mac.size();
  if (EVP_DigestSignFinal(raw, mac.data(), &size) != 1 || size != mac.size()) {
    return Fail(Code::kInternal, "cannot finish HMAC-SHA-256");
  }
  return mac;
}

bool ConstantTimeEqual(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string RandomBytes(size_t count) {
  std::string out(count, '\0');
  size_t filled = 0;
  while (filled < count) {
    const ssize_t got = ::getrandom(out.data() + filled, count - filled, 0);
    if (got > 0) filled += static_cast<size_t>(got);
  }
  return out;
}

std::string ToHex(std::span<const uint8_t> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const uint8_t byte : bytes) {
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  return out;
}

bool IsDigest(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace hybridserve
