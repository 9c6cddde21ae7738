#include "tls/test_pair.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

namespace hybridserve {

namespace {

std::string Text(BIO* bio) {
  char* text = nullptr;
  const long bytes = BIO_get_mem_data(bio, &text);
  std::string copy(text, static_cast<size_t>(bytes));
  BIO_free(bio);
  return copy;
}

}  // namespace

TestPair MakeTestPair(long serial) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* own = X509_new();
  ASN1_INTEGER_set(X509_get_serialNumber(own), serial);
  X509_gmtime_adj(X509_getm_notBefore(own), 0);
  X509_gmtime_adj(X509_getm_notAfter(own), 3600);
  X509_set_pubkey(own, key);
  X509_NAME* name = X509_get_subject_name(own);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("node"), -1, -1, 0);
  X509_set_issuer_name(own, name);
  X509_sign(own, key, EVP_sha256());
  BIO* certificate = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(certificate, own);
  BIO* private_key = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(private_key, key, nullptr, nullptr, 0, nullptr, nullptr);
  X509_free(own);
  EVP_PKEY_free(key);
  return {Text(certificate), Text(private_key)};
}

}  // namespace hybridserve
