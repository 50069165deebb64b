#include "rollout_workers/pool/pool_transfer.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"

namespace routewright {
namespace {

// Sets one option. Fails only where libcurl was built without it, or out of memory.
template <typename Value>
void Set(CURL* easy, CURLoption option, Value value) {
  const CURLcode code = curl_easy_setopt(easy, option, value);
  RW_CHECK(code == CURLE_OK) << "libcurl option " << option << ": " << curl_easy_strerror(code);
}

long Milliseconds(absl::Duration duration) {
  return static_cast<long>(
      std::clamp<int64_t>(absl::ToInt64Milliseconds(duration), 1, 1'000'000'000));
}

TransportEnd EndOf(CURLcode code, bool is_too_large) {
  if (is_too_large) return TransportEnd::kTooLarge;
  switch (code) {
    case CURLE_OK:
      return TransportEnd::kWhole;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
      return TransportEnd::kUnreachable;
    case CURLE_OPERATION_TIMEDOUT:
      return TransportEnd::kTimedOut;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
      return TransportEnd::kNotAllowed;
    default:
      return TransportEnd::kBroken;
  }
}

}  // namespace

PoolTransfer::PoolTransfer(const PoolEndpoint& endpoint, std::string body,
                           absl::Duration connect_timeout, absl::Duration timeout,
                           size_t max_response_bytes)
    : endpoint_(endpoint),
      body_(std::move(body)),
      max_response_bytes_(max_response_bytes),
      easy_(curl_easy_init()) {
  RW_CHECK(easy_ != nullptr) << "libcurl is out of memory";
  SetUp(connect_timeout, timeout);
}

void PoolTransfer::SetUp(absl::Duration connect_timeout, absl::Duration timeout) {
  CURL* easy = easy_.get();
  curl_slist* headers = curl_slist_append(nullptr, "Content-Type: application/json");
  headers = curl_slist_append(headers, "Accept: text/event-stream, application/json");
  headers = curl_slist_append(headers, "Expect:");  // no waiting for 100 Continue
  for (const HttpHeader& header : endpoint_.protocol->Headers(endpoint_.api_key)) {
    headers = curl_slist_append(headers, absl::StrCat(header.name, ": ", header.value).c_str());
  }
  headers_.reset(headers);
  Set(easy, CURLOPT_URL, endpoint_.call_url.c_str());
  Set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  Set(easy, CURLOPT_FOLLOWLOCATION, 0L);
  if (endpoint_.is_loopback) Set(easy, CURLOPT_PROXY, "");
  Set(easy, CURLOPT_HTTPHEADER, headers_.get());
  Set(easy, CURLOPT_USERAGENT, "routewright/0.1");
  Set(easy, CURLOPT_POSTFIELDS, body_.c_str());
  Set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body_.size()));
  Set(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  Set(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  Set(easy, CURLOPT_NOSIGNAL, 1L);
  Set(easy, CURLOPT_CONNECTTIMEOUT_MS, Milliseconds(connect_timeout));
  Set(easy, CURLOPT_TIMEOUT_MS, Milliseconds(timeout));
  Set(easy, CURLOPT_ERRORBUFFER, error_);
  Set(easy, CURLOPT_WRITEFUNCTION, &PoolTransfer::OnBody);
  Set(easy, CURLOPT_WRITEDATA, this);
}

size_t PoolTransfer::OnBody(char* data, size_t size, size_t count, void* self) {
  const size_t num_bytes = size * count;
  const bool goes_on =
      static_cast<PoolTransfer*>(self)->TakeBody(std::string_view(data, num_bytes));
  return goes_on ? num_bytes : CURL_WRITEFUNC_ERROR;
}

bool PoolTransfer::TakeBody(std::string_view bytes) {
  num_response_bytes_ += bytes.size();
  if (num_response_bytes_ > max_response_bytes_) return false;
  if (ResponseStatus() != 200) {
    error_body_ += bytes;
    return true;
  }
  Reader().Feed(bytes);
  return true;
}

PoolReplyReader& PoolTransfer::Reader() {
  if (reader_ == nullptr) {
    reader_ = endpoint_.protocol->NewReader(ResponseHeader("Content-Type"));
  }
  return *reader_;
}

int PoolTransfer::ResponseStatus() const {
  long status = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
  return static_cast<int>(status);
}

std::string PoolTransfer::ResponseHeader(const char* name) const {
  curl_header* header = nullptr;
  const CURLHcode code =
      curl_easy_header(easy_.get(), name, /*index=*/0, CURLH_HEADER, /*request=*/-1, &header);
  return code == CURLHE_OK ? header->value : "";
}

AttemptResult PoolTransfer::Finish(CURLcode code) {
  AttemptResult result;
  result.end = EndOf(code, num_response_bytes_ > max_response_bytes_);
  result.http_status = ResponseStatus();
  if (result.end != TransportEnd::kWhole) {
    result.transport_error = error_[0] != '\0' ? error_ : curl_easy_strerror(code);
  }
  result.retry_after = ResponseHeader("Retry-After");
  result.retry_after_ms = ResponseHeader("retry-after-ms");
  if (result.http_status == 200) {
    result.reply = Reader().Finish();
  } else {
    result.error_message = endpoint_.protocol->ErrorMessage(error_body_);
  }
  return result;
}

}  // namespace routewright
