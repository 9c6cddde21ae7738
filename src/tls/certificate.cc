#include "tls/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstdio>
#include <string>
#include <utility>

#include "base/deleter.h"
#include "base/log.h"

namespace hybridserve {

namespace {

constexpr uint64_t kMaxFileBytes = 1u << 20;
// A certificate of its own kind of key agreement and an authenticated cipher; TLS 1.3 has no others.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr std::string_view kHttp11 = "http/1.1";

using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free>>;
using X509Ptr = std::unique_ptr<X509, Deleter<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;

BioPtr Memory(const std::string& text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// Nobody is there to be asked for a passphrase.
int NoPassphrase(char*, int, int, void*) { return -1; }

// Of what the client speaks, HTTP/1.1; a client that speaks other protocols only is turned away.
int ChooseProtocol(SSL*, const unsigned char** out, unsigned char* out_bytes,
                   const unsigned char* in, unsigned int in_bytes, void*) {
  for (unsigned int at = 0; at < in_bytes; at += 1u + in[at]) {
    if (at + 1u + in[at] > in_bytes) break;
    const std::string_view name(reinterpret_cast<const char*>(in + at + 1), in[at]);
    if (name != kHttp11) continue;
    *out = in + at + 1;
    *out_bytes = in[at];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

TlsContextPtr NewContext() {
  TlsContextPtr context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context) return context;
  SSL_CTX* raw = context.get();
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(raw, kCiphers);
  SSL_CTX_set_options(raw, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  // Tickets resume sessions, so the server keeps none.
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  // A write that did not go through is tried again from wherever its bytes lie by then; an idle
  // connection holds no buffers; one read takes what the socket has.
  SSL_CTX_set_mode(raw, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(raw, 1);
  SSL_CTX_set_alpn_select_cb(raw, ChooseProtocol, nullptr);
  return context;
}

Result<> UseChain(SSL_CTX* context, const std::string& text, const std::string& file) {
  const BioPtr memory = Memory(text);
  const X509Ptr own(PEM_read_bio_X509_AUX(memory.get(), nullptr, NoPassphrase, nullptr));
  if (!own) {
    return Fail(Code::kInvalidArgument, file + " does not begin with a certificate in PEM");
  }
  if (SSL_CTX_use_certificate(context, own.get()) != 1) {
    return Fail(Code::kInvalidArgument,
                "the certificate in " + file + " cannot be used: its key or digest is too weak");
  }
  while (true) {
    X509Ptr between(PEM_read_bio_X509(memory.get(), nullptr, NoPassphrase, nullptr));
    if (!between) break;
    if (SSL_CTX_add0_chain_cert(context, between.get()) != 1) {
      return Fail(Code::kInvalidArgument, "the chain in " + file + " cannot be used");
    }
    (void)between.release();  // The context's now.
  }
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
    return Fail(Code::kInvalidArgument, file + " holds a certificate that is damaged");
  }
  return {};
}

Result<> UseKey(SSL_CTX* context, const std::string& text, const std::string& file,
                const std::string& certificate) {
  const BioPtr memory = Memory(text);
  const KeyPtr key(PEM_read_bio_PrivateKey(memory.get(), nullptr, NoPassphrase, nullptr));
  if (!key) {
    return Fail(Code::kInvalidArgument,
                file + " holds no private key in PEM without a passphrase");
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) == 1 && SSL_CTX_check_private_key(context) == 1) {
    return {};
  }
  return Fail(Code::kInvalidArgument,
              "the key in " + file + " is not that of the certificate in " + certificate);
}

// "Jan  1 00:00:00 2030 GMT"
std::string EndOfValidity(SSL_CTX* context) {
  const X509* own = SSL_CTX_get0_certificate(context);
  const BioPtr memory(BIO_new(BIO_s_mem()));
  if (own == nullptr || !memory || ASN1_TIME_print(memory.get(), X509_get0_notAfter(own)) != 1) {
    return "?";
  }
  char* text = nullptr;
  const long bytes = BIO_get_mem_data(memory.get(), &text);
  return {text, static_cast<size_t>(bytes)};
}

}  // namespace

Result<TlsContextPtr> TlsCertificate::Read() const {
  const auto named = [this](const Error& error, const char* key) {
    return Wrap(error, section_ + "." + key);
  };
  const Result<RegularFile> chain = ReadRegularFile(certificate_, kMaxFileBytes);
  if (!chain) return named(chain.error(), "tls_certificate");
  const Result<RegularFile> key = ReadRegularFile(key_, kMaxFileBytes);
  if (!key) return named(key.error(), "tls_key");
  if ((key->status.st_mode & (S_IRWXO | S_IWGRP)) != 0) {
    char mode[8];
    std::snprintf(mode, sizeof(mode), "%04o", key->status.st_mode & 07777u);
    return Fail(Code::kForbidden, section_ + ".tls_key: " + key_.string() + " has the mode " +
                                      mode + ", which lets others at it; chmod 0400 it (0440 at "
                                      "most)");
  }
  ERR_clear_error();
  TlsContextPtr context = NewContext();
  if (!context) return Fail(Code::kInternal, "OpenSSL makes no TLS context");
  Result<> used = UseChain(context.get(), chain->content, certificate_.string());
  if (!used) return named(used.error(), "tls_certificate");
  used = UseKey(context.get(), key->content, key_.string(), certificate_.string());
  ERR_clear_error();
  if (!used) return named(used.error(), "tls_key");
  return context;
}

Result<> TlsCertificate::Load() {
  // Before they are read: a change meanwhile shows as another one.
  const Stamps stamps = Now();
  Result<TlsContextPtr> context = Read();
  const std::lock_guard lock(mutex_);
  stamps_ = stamps;
  if (!context) return tl::unexpected(std::move(context.error()));
  context_ = std::move(*context);
  const X509* own = SSL_CTX_get0_certificate(context_.get());
  const bool expired = X509_cmp_current_time(X509_get0_notAfter(own)) < 0;
  spdlog::log(expired ? spdlog::level::warn : spdlog::level::info,
              "{}: the certificate in {} is good until {}{}", section_, certificate_.string(),
              EndOfValidity(context_.get()), expired ? ": it has EXPIRED" : "");
  return {};
}

Result<std::shared_ptr<TlsCertificate>> TlsCertificate::Open(std::string_view section,
                                                             std::filesystem::path certificate,
                                                             std::filesystem::path key) {
  std::shared_ptr<TlsCertificate> made(
      new TlsCertificate(section, std::move(certificate), std::move(key)));
  TRY(made->Load());
  return made;
}

TlsContextPtr TlsCertificate::context() const {
  const std::lock_guard lock(mutex_);
  return context_;
}

void TlsCertificate::ReloadIfChanged() {
  const Stamps now = Now();
  {
    const std::lock_guard lock(mutex_);
    if (now == stamps_) return;
  }
  if (const Result<> loaded = Load(); !loaded) {
    spdlog::error("the certificate stays the one before: {}", loaded.error().message);
  }
}

}  // namespace hybridserve
