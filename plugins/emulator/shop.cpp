#include <cmath>

#include "plugins/emulator/fleet.h"
#include "plugins/emulator/random.h"
#include "plugins/emulator/walk.h"

namespace millrace::emulator {
namespace {

// Assumed, not measured: somebody comes every ten seconds and stays for twenty, so two are there on average (Little's law); in
// a rush seven times as many come.
constexpr double arrivals_a_second = 0.1;
constexpr double rush = 7;
constexpr double mean_stay = 20;  // seconds

/// A shop's sign with a camera that counts who stands before it: at each instant one message for each customer in view, all of
/// the same time, and none where nobody is. In an episode there is a rush.
class Sign {
 public:
  Sign(std::uint64_t seed, std::uint32_t number, Duration interval)
      : name_("sign-" + std::to_string(number)),
        random_(seed, number),
        interval_seconds_(std::chrono::duration<double>(interval).count()) {}

  void append(Batch& batch, Time at, const std::optional<Episode>& episode) {
    for (Customer& customer : in_view_) customer.seen += interval_seconds_;
    std::erase_if(in_view_, [](const Customer& c) { return c.seen > c.stays; });
    for (int arrivals = poisson(arrivals_a_second * (episode ? rush : 1) * interval_seconds_); arrivals > 0; --arrivals)
      in_view_.push_back({++customers_, -mean_stay * std::log(1 - random_.uniform()), 0});
    for (const Customer& customer : in_view_) {
      Message message(batch, name_, at);
      message.set("deviceId", Value::string(message.device()))
          .set("messageId", ++messages_)
          .set("customer", customer.number)
          .set("seen", quantise(customer.seen, 0.1))
          .stamp();
    }
  }

 private:
  struct Customer {
    std::int64_t number = 0;
    double stays = 0;
    double seen = 0;  ///< seconds
  };

  /// How many of what happens `mean` times on average (Knuth's product of uniforms; fine for small means, and bounded).
  int poisson(double mean) {
    constexpr int most = 100;
    double limit = std::exp(-mean);
    int count = 0;
    for (double product = random_.uniform(); product > limit && count < most; product *= random_.uniform()) ++count;
    return count;
  }

  std::string name_;
  Random random_;
  double interval_seconds_;
  std::vector<Customer> in_view_;
  std::int64_t customers_ = 0;
  std::int64_t messages_ = 0;
};

}  // namespace

std::unique_ptr<Fleet> shop_fleet(const FleetPlan& plan) { return std::make_unique<FleetOf<Sign>>(plan); }

}  // namespace millrace::emulator
