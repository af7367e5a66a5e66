#pragma once

#include <filesystem>
#include <string>

#include "runner/graph/pipeline.h"
#include "runner/supervise/layout.h"

namespace millrace::supervise {

/// What a pipeline keeps through a reload; where it changes, nothing of the former version can stay.
struct Place {
  std::string name;
  std::string address;
  bool insecure = false;
  graph::Listen::Auth auth = graph::Listen::Auth::automatic;
  std::filesystem::path token_keys, cert, key;

  explicit Place(const graph::Pipeline& pipeline)
      : name(pipeline.name),
        address(pipeline.listen.address),
        insecure(pipeline.listen.insecure),
        auth(pipeline.listen.auth),
        token_keys(pipeline.listen.token_keys.path) {
    if (pipeline.listen.tls) cert = pipeline.listen.tls->cert.path, key = pipeline.listen.tls->key.path;
  }
  bool operator==(const Place&) const = default;
};

/// Equal for two versions of a file if there is nothing to change from one to the other.
struct Version {
  Place place;
  Layout layout;

  explicit Version(const graph::Pipeline& pipeline) : place(pipeline), layout(layout_of(pipeline)) {}
  bool operator==(const Version&) const = default;
};

}  // namespace millrace::supervise
