// chat_prompt FOLDER: each line (a JSON string) as the one user message of the folder's chat
// template, as a JSON string. For chat_template_parity.py.
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "policy/tokenizer/chat_template.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto chat_template =
      routewright::ChatTemplate::Load(routewright::PolicyConfig::CHAT_TEMPLATE_AUTO, argv[1]);
  if (!chat_template.ok()) {
    std::fprintf(stderr, "chat_prompt: %s\n",
                 std::string(chat_template.status().message()).c_str());
    return 1;
  }
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto message = nlohmann::json::parse(line).get<std::string>();
    std::cout << nlohmann::json(chat_template->Apply(message)).dump() << "\n";
  }
  return 0;
}
