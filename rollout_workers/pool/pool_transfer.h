// One attempt of a pool call as one libcurl transfer: sets it up, reads the response as it comes,
// judges how it ended. Refuses redirects, responses over the size limit and everything but HTTP(S);
// verifies certificates; uses no proxy for this machine's own addresses.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "rollout_workers/pool/pool_endpoint.h"
#include "rollout_workers/pool/pool_retry.h"

namespace routewright {

// One thread. Must not move or die while its handle is in a multi handle.
class PoolTransfer {
 public:
  // `endpoint` must outlive the transfer.
  PoolTransfer(const PoolEndpoint& endpoint, std::string body, absl::Duration connect_timeout,
               absl::Duration timeout, size_t max_response_bytes);
  PoolTransfer(const PoolTransfer&) = delete;
  PoolTransfer& operator=(const PoolTransfer&) = delete;

  CURL* handle() const { return easy_.get(); }
  // What came of it, once libcurl has ended it with `code` or the caller has taken it out of the
  // multi handle (CURLE_ABORTED_BY_CALLBACK). Call once.
  AttemptResult Finish(CURLcode code);

 private:
  struct EasyDeleter {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  };
  struct HeadersDeleter {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };

  static size_t OnBody(char* data, size_t size, size_t count, void* self);
  void SetUp(absl::Duration connect_timeout, absl::Duration timeout);
  bool TakeBody(std::string_view bytes);
  PoolReplyReader& Reader();
  std::string ResponseHeader(const char* name) const;
  int ResponseStatus() const;

  const PoolEndpoint& endpoint_;
  const std::string body_;
  const size_t max_response_bytes_;
  size_t num_response_bytes_ = 0;
  std::unique_ptr<PoolReplyReader> reader_;  // of a 200's body, from its first byte on
  std::string error_body_;                   // of another status
  char error_[CURL_ERROR_SIZE] = {};
  std::unique_ptr<curl_slist, HeadersDeleter> headers_;
  std::unique_ptr<CURL, EasyDeleter> easy_;
};

}  // namespace routewright
