// A pool client in front of a server that answers as it is told: what
// http_pool_client_*_test.cc have in common.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "rollout_workers/pool/http_pool_client.h"
#include "rollout_workers/pool/pool_ledger.h"
#include "tests/common/temp_folder.h"
#include "tests/rollout_workers/pool/ledger_reading.h"
#include "tests/rollout_workers/pool/scripted_server.h"

namespace routewright {

inline constexpr absl::Duration kLimit = absl::Minutes(1);  // of a wait that ends much earlier

inline constexpr char kStreamed[] =
    "data: {\"model\":\"sage-7b\",\"choices\":[{\"delta\":{\"content\":\"It is \"}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"content\":\"Lima.\"},\"finish_reason\":\"stop\"}]}\n\n"
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":4}}\n\n"
    "data: [DONE]\n\n";

inline ScriptedResponse Good() { return EventStream(kStreamed); }

class HttpPoolClientTest : public ::testing::Test {
 protected:
  HttpPoolClientTest() {
    config_.set_retry_base_s(0.001);
    config_.set_retry_max_s(0.002);
    options_.ledger_folder = folder_ / "ledger";
    PoolModelConfig& model = *config_.add_models();
    model.set_name("Sage");
    model.set_served_model("sage-7b");
    model.set_input_price(100);
    model.set_output_price(1000);
  }

  void MakeClient(const std::string& url) {
    config_.mutable_models(0)->set_base_url(url);
    auto client = MakeHttpPoolClient(config_, options_);
    ASSERT_TRUE(client.ok()) << client.status();
    client_ = std::move(*client);
  }

  static PoolRequest Request(const std::string& call_id, const std::string& model = "Sage") {
    return {
        .call_id = call_id, .episode_id = "e", .round = 2, .model = model, .prompt = "What is it?"};
  }

  std::vector<PoolCall> Take(size_t count) {
    std::vector<PoolCall> calls;
    while (calls.size() < count) {
      const std::vector<PoolCall> finished = client_->TakeFinished(kLimit);
      if (finished.empty()) {
        ADD_FAILURE() << "only " << calls.size() << " of " << count << " calls finished";
        break;
      }
      calls.insert(calls.end(), finished.begin(), finished.end());
    }
    return calls;
  }

  // Makes one call against a server of this script.
  PoolCall CallOnce(ScriptedServer::Script script) {
    ScriptedServer server(std::move(script));
    MakeClient(server.url());
    EXPECT_TRUE(client_->Start(Request("e/1/2")).ok());
    PoolCall call = Take(1).at(0);
    num_requests_ = server.requests().size();
    client_.reset();
    return call;
  }

  std::vector<nlohmann::json> Ledger() const { return ReadLedger(options_.ledger_folder); }

  const TempFolder folder_;
  PoolConfig config_;
  HttpPoolClientOptions options_;
  std::unique_ptr<PoolClient> client_;
  size_t num_requests_ = 0;
};

}  // namespace routewright
