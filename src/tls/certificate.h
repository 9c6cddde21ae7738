// TlsCertificate: a certificate chain and its key, from two files of the node, read again when they
// change.
//
// Thread rule: any thread. Shared by: the listener that uses it, and whoever looks after changes.
#pragma once

#include <openssl/ssl.h>

#include <filesystem>
#include <memory>
#include <mutex>
#include <string_view>

#include "base/regular_file.h"
#include "base/result.h"

namespace hybridserve {

/// Holds a reference to the context.
using TlsContextPtr = std::shared_ptr<SSL_CTX>;

class TlsCertificate {
 public:
  /// `certificate` is PEM, the server's own first, then those in between; `key` is its PEM key,
  /// without a passphrase. `section` of the configuration names both in errors and in the log.
  /// Errors: those of reading; kForbidden the key may be read by everybody; kInvalidArgument either
  /// is no PEM, or they do not belong together.
  static Result<std::shared_ptr<TlsCertificate>> Open(std::string_view section,
                                                      std::filesystem::path certificate,
                                                      std::filesystem::path key);

  /// For new connections: TLS 1.2 and later, HTTP/1.1. Connections keep the one that they began
  /// with.
  [[nodiscard]] TlsContextPtr context() const;

  /// Takes what the files hold now, if one has changed. A pair that is wrong leaves the old one; the
  /// log says why, once a change. Waits for the disk.
  void ReloadIfChanged();

 private:
  struct Stamps {
    FileStamp certificate;
    FileStamp key;
    bool operator==(const Stamps&) const = default;
  };

  TlsCertificate(std::string_view section, std::filesystem::path certificate,
                 std::filesystem::path key)
      : section_(section), certificate_(std::move(certificate)), key_(std::move(key)) {}
  Result<> Load();
  [[nodiscard]] Result<TlsContextPtr> Read() const;
  [[nodiscard]] Stamps Now() const { return {StampOf(certificate_), StampOf(key_)}; }

  const std::string section_;
  const std::filesystem::path certificate_;
  const std::filesystem::path key_;
  mutable std::mutex mutex_;  // Guards the two below.
  Stamps stamps_;
  TlsContextPtr context_;
};

}  // namespace hybridserve
