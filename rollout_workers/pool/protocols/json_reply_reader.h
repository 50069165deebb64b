// The frame of a reader for servers that answer with one JSON document or with a stream of events whose data are JSON
// objects, as the Content-Type says. A protocol says what is in them.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "rollout_workers/pool/protocols/pool_protocol.h"
#include "rollout_workers/pool/protocols/server_sent_events.h"

namespace routewright {

class JsonReplyReader : public PoolReplyReader {
 public:
  explicit JsonReplyReader(std::string_view content_type);
  void Feed(std::string_view bytes) final;
  PoolReply Finish() final;

 protected:
  // The whole body, an object. The reply is complete and done, unless this says otherwise.
  virtual void TakeDocument(const nlohmann::json& document) = 0;
  // The next event, an object. None comes once the reply is done or has a fault.
  virtual void TakeEvent(const nlohmann::json& event) = 0;
  // Whether these data, which need not be JSON, end the stream.
  virtual bool IsEnd(std::string_view /*data*/) const { return false; }
  // Once, when nothing more comes.
  virtual void Conclude() {}

  PoolReply reply_;  // as far as it is read

 private:
  void TakeData(std::string_view data);

  const bool is_stream_;
  std::string document_;
  ServerSentEvents events_;
};

}  // namespace routewright
