// SPDX-License-Identifier: Apache-2.0
#include "pki/authority.h"

#include "crypto/certificate_builder.h"
#include "crypto/root_signer.h"

#include <tideway/object_name.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <span>

namespace tideway::pki {
namespace {

namespace fs = std::filesystem;
using crypto::CertifiedKey;

constexpr std::string_view kAuthorityUri = "spiffe://";  // an authority's URI name is that and its trust domain

struct NewFile {
  std::string path;
  std::string_view text;
  mode_t mode;
};

Error file_error(const std::string& path, int error) {
  Fault fault = Fault::kDestIo;
  if (error == EEXIST) fault = Fault::kDestExists;
  if (error == ENOSPC) fault = Fault::kDestFull;
  if (error == EDQUOT) fault = Fault::kDestQuota;
  if (error == EROFS) fault = Fault::kDestReadonly;
  if (error == EACCES || error == EPERM) fault = Fault::kDestDenied;
  const bool exists = error == EEXIST;
  return {fault, path + ": " + (exists ? "exists already and is never overwritten" : std::strerror(error)),
          exists ? "choose another folder, or remove the old files after a look at them" : ""};
}

Status write_new(const NewFile& file) {
  const int fd = ::open(file.path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, file.mode);
  if (fd < 0) return file_error(file.path, errno);
  // The umask may have taken rights away from a certificate that others shall read.
  int error = ::fchmod(fd, file.mode) == 0 ? 0 : errno;
  for (std::string_view rest = file.text; error == 0 && !rest.empty();) {
    const ssize_t written = ::write(fd, rest.data(), rest.size());
    if (written >= 0) rest.remove_prefix(static_cast<size_t>(written));
    else if (errno != EINTR) error = errno;
  }
  if (error == 0 && ::fsync(fd) != 0) error = errno;
  if (::close(fd) != 0 && error == 0) error = errno;
  if (error == 0) return success();
  ::unlink(file.path.c_str());
  return file_error(file.path, error);
}

// All of them or none.
Status write_all_new(const std::string& folder, std::span<const NewFile> files) {
  std::error_code failure;
  if (fs::create_directories(folder, failure)) fs::permissions(folder, fs::perms::owner_all, failure);
  if (failure) return file_error(folder, failure.value());
  for (const NewFile& file : files)
    if (fs::exists(fs::symlink_status(file.path, failure))) return file_error(file.path, EEXIST);
  for (size_t done = 0; done < files.size(); ++done) {
    Status status = write_new(files[done]);
    if (status.ok()) continue;
    for (size_t i = 0; i < done; ++i) ::unlink(files[i].path.c_str());
    return status;
  }
  return success();
}

Error usage_error(std::string what, std::string next) { return {Fault::kUsage, std::move(what), std::move(next)}; }

struct Authority {
  CertifiedKey certified;
  std::string trust_domain;
  UnixTime not_after;
};

Error no_authority(Error why) {
  if (why.next.empty()) why.next = "name the folder that tideway pki init made, with ca.crt and ca.key in it";
  return why;
}

Result<Authority> read_authority(const std::string& folder) {
  const std::string path = folder + "/ca.crt";
  auto certificate = crypto::read_public_file(path);
  if (!certificate.ok()) return no_authority(std::move(certificate).error());
  auto key = crypto::read_private_file(folder + "/ca.key");
  if (!key.ok()) return no_authority(std::move(key).error());
  auto facts = crypto::read_authority_pem(certificate.value(), path);
  if (!facts.ok()) return std::move(facts).error();
  const std::string& uri = facts.value().uri;
  if (!uri.starts_with(kAuthorityUri) || !crypto::is_trust_domain(std::string_view(uri).substr(kAuthorityUri.size())))
    return Error{Fault::kConfigInvalid, path + ": names no trust domain, so no gateway can be named below it",
                 "make an authority with tideway pki init"};
  return Authority{{std::move(certificate).value(), std::move(key).value()}, uri.substr(kAuthorityUri.size()),
                   facts.value().not_after};
}

}  // namespace

Status init_authority(const AuthorityOrder& order, UnixTime now) {
  if (!crypto::is_trust_domain(order.trust_domain))
    return usage_error("\"" + to_display(order.trust_domain) + "\" is not a trust domain",
                       "use 1 to 255 of a-z, 0-9, \".\", \"-\" and \"_\", such as example.org");
  crypto::CertificateSpec spec;
  spec.kind = crypto::CertificateKind::kAuthority;
  spec.common_name = "tideway authority";
  spec.uris = {std::string(kAuthorityUri) + order.trust_domain};
  spec.not_before = now - kClockSkew;
  spec.not_after = now + kAuthorityLife;
  spec.extended_usage.clear();
  auto made = crypto::make_self_signed(spec);
  if (!made.ok()) return std::move(made).error();
  const NewFile files[] = {{order.folder + "/ca.key", made.value().key.text(), 0600},
                           {order.folder + "/ca.crt", made.value().certificate, 0644}};
  return write_all_new(order.folder, files);
}

Result<crypto::Identity> issue(const GatewayOrder& order, UnixTime now) {
  for (const std::string& name : {order.site, order.gateway})
    if (!crypto::is_issuable_name(name))
      return usage_error("\"" + to_display(name) + "\" cannot be the name of a site or gateway",
                         "use 1 to 63 of a-z, 0-9 and \"-\"");
  auto authority = read_authority(order.authority);
  if (!authority.ok()) return std::move(authority).error();
  if (authority.value().not_after <= now)
    return crypto::certificate_error(crypto::CertificateFault::kExpired,
                                     "the authority in " + order.authority + " has ended and can issue nothing");
  const crypto::Identity identity{authority.value().trust_domain, order.site, order.gateway};
  crypto::CertificateSpec spec;
  spec.common_name = order.gateway + "." + order.site;
  if (spec.common_name.size() > 64) spec.common_name = "tideway gateway";  // X.509 allows no longer one
  spec.uris = {to_string(identity)};
  spec.not_before = now - kClockSkew;
  spec.not_after = std::min<UnixTime>(now + kGatewayLife, authority.value().not_after);
  auto made = crypto::make_signed(spec, authority.value().certified);
  if (!made.ok()) return std::move(made).error();
  const NewFile files[] = {{order.folder + "/gateway.key", made.value().key.text(), 0600},
                           {order.folder + "/gateway.crt", made.value().certificate, 0644},
                           {order.folder + "/ca.crt", authority.value().certified.certificate, 0644}};
  if (Status status = write_all_new(order.folder, files); !status.ok()) return std::move(status).error();
  return identity;
}

Status make_signing_key(const std::string& folder) {
  auto made = crypto::make_signing_key();
  if (!made.ok()) return std::move(made).error();
  const NewFile files[] = {{folder + "/signing.key", made.value().secret.text(), 0600},
                           {folder + "/signing.pub", made.value().public_half, 0644}};
  return write_all_new(folder, files);
}

}  // namespace tideway::pki
