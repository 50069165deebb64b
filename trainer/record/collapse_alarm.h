// Says once that routing has collapsed onto one model, and again only after it had recovered. Pure.
#pragma once

namespace routewright {

class CollapseAlarm {
 public:
  explicit CollapseAlarm(double bound_nats) : bound_nats_(bound_nats) {}

  // Whether this step's entropy of the models' shares is the first below the bound.
  bool IsRaisedBy(double share_entropy_nats) {
    const bool was_collapsed = is_collapsed_;
    is_collapsed_ = share_entropy_nats < bound_nats_;
    return is_collapsed_ && !was_collapsed;
  }

 private:
  double bound_nats_;
  bool is_collapsed_ = false;
};

}  // namespace routewright
