#pragma once

#include <openssl/types.h>

#include <vector>

#include "runner/mqtt/broker.h"
#include "runner/stage/needs_files.h"

namespace millrace::mqtt {

/// Gives a context what the files hold; returns all that is wrong with them as they are now. Asks nobody for a pass phrase.
std::vector<NeedsFiles::Problem> load_tls_files(SSL_CTX* context, const Tls& tls);

/// What is wrong with those of a broker, for NeedsFiles.
std::vector<NeedsFiles::Problem> tls_file_problems(const Broker& broker);

}  // namespace millrace::mqtt
