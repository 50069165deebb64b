// Money is counted in whole pico-dollars (1e-12 $), which add up exactly: a token of a model that
// costs $0.04 a million costs 40,000. Dollars are for people and for metrics.
#pragma once

namespace routewright {

constexpr double PicousdToUsd(double picousd) { return picousd * 1e-12; }

}  // namespace routewright
