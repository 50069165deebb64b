// plain_ids FOLDER: what Tokenizer::EncodePlain makes of each line (a JSON string), as {"ids":[…]}.
// For tokenizer_parity.py.
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "policy/tokenizer/tokenizer.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto tokenizer = routewright::Tokenizer::Load(argv[1]);
  if (!tokenizer.ok()) {
    std::fprintf(stderr, "plain_ids: %s\n", std::string(tokenizer.status().message()).c_str());
    return 1;
  }
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto text = nlohmann::json::parse(line).get<std::string>();
    std::cout << nlohmann::json{{"ids", (*tokenizer)->EncodePlain(text)}}.dump() << "\n";
  }
  return 0;
}
