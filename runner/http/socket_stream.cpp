#include "runner/http/socket_stream.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace millrace::http {
namespace {

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

ssize_t send_pieces(int socket, std::span<const std::string_view> pieces) {
  std::array<iovec, 64> entries;
  std::size_t count = std::min(pieces.size(), entries.size());
  for (std::size_t i = 0; i < count; ++i) entries[i] = {const_cast<char*>(pieces[i].data()), pieces[i].size()};
  msghdr message{};
  message.msg_iov = entries.data();
  message.msg_iovlen = count;
  return ::sendmsg(socket, &message, MSG_NOSIGNAL);
}

}  // namespace

SocketStream::SocketStream(std::shared_ptr<AsioLoop> loop, Socket socket, std::shared_ptr<Counter> open)
    : loop_(std::move(loop)), socket_(std::move(socket)), count_(std::move(open)) {
  boost::system::error_code ignored;  // these only tune; a socket that died meanwhile says so at the first read
  socket_.non_blocking(true, ignored);
  socket_.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
  socket_.set_option(boost::asio::socket_base::keep_alive(true), ignored);
  count_->add();
}

SocketStream::~SocketStream() { count_->add(static_cast<std::uint64_t>(-1)); }

std::string SocketStream::remote_address() const {
  boost::system::error_code error;
  auto address = socket_.remote_endpoint(error).address();
  if (error) return {};
  bool mapped = address.is_v6() && address.to_v6().is_v4_mapped();
  if (mapped) address = boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, address.to_v6());
  return address.to_string();
}

Io SocketStream::read_unread(std::span<char> into) {
  std::size_t bytes = std::min(into.size(), unread_.size());
  std::memcpy(into.data(), unread_.data(), bytes);
  unread_.erase(0, bytes);
  if (unread_.empty()) unread_.shrink_to_fit();
  return {.bytes = bytes};
}

Io SocketStream::read(std::span<char> into) {
  if (!unread_.empty()) return read_unread(into);
  if (!open()) return {.closed = true};
  while (true) {
    ssize_t bytes = ::recv(descriptor(), into.data(), into.size(), 0);
    if (bytes > 0) return {.bytes = static_cast<std::size_t>(bytes)};
    if (bytes < 0 && errno == EINTR) continue;
    return {.closed = bytes == 0 || !would_block(errno)};
  }
}

Io SocketStream::write(std::span<const std::string_view> pieces) {
  if (!open()) return {.closed = true};
  while (true) {
    // The usual case, and the cheaper call.
    ssize_t bytes = pieces.size() == 1 ? ::send(descriptor(), pieces[0].data(), pieces[0].size(), MSG_NOSIGNAL)
                                       : send_pieces(descriptor(), pieces);
    if (bytes >= 0) return {.bytes = static_cast<std::size_t>(bytes)};
    if (errno == EINTR) continue;
    return {.closed = !would_block(errno)};
  }
}

void SocketStream::wait(Socket::wait_type what, std::function<void()> ready) {
  socket_.async_wait(what, [&loop = *loop_, alive = std::weak_ptr<int>(alive_),
                            ready = std::move(ready)](boost::system::error_code error) mutable {
    auto turn = loop.turn();
    auto now = std::move(ready);  // goes before the turn ends
    if (error != boost::asio::error::operation_aborted && !alive.expired()) now();
  });
}

void SocketStream::when_readable(std::function<void()> ready) {
  if (unread_.empty()) return wait(Socket::wait_read, std::move(ready));
  loop_->post([alive = std::weak_ptr<int>(alive_), ready = std::move(ready)] {
    if (!alive.expired()) ready();
  });
}

void SocketStream::when_writable(std::function<void()> ready) { wait(Socket::wait_write, std::move(ready)); }

void SocketStream::limit_send_buffer(std::size_t bytes) {
  boost::system::error_code ignored;
  socket_.set_option(boost::asio::socket_base::send_buffer_size(static_cast<int>(bytes)), ignored);
}

void SocketStream::end_writing() {
  boost::system::error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
}

void SocketStream::drop_callbacks() {
  boost::system::error_code ignored;
  alive_ = std::make_shared<int>();
  socket_.cancel(ignored);
}

void SocketStream::close() {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

}  // namespace millrace::http
