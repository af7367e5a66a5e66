#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

void run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

/// A few random changes: bytes flipped, cut out, doubled, or another text's piece put in.
std::string mutated(std::string text, const std::vector<std::string>& corpus, std::mt19937& random) {
  auto below = [&](std::size_t n) { return n == 0 ? 0 : random() % n; };
  for (std::size_t changes = 1 + below(4); changes > 0; --changes) {
    std::size_t at = below(text.size() + 1);
    switch (below(4)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(random());
        break;
      case 1: text.erase(at, below(8)); break;
      case 2: text.insert(at, text.substr(at, below(16))); break;
      default: {
        const std::string& other = corpus[below(corpus.size())];
        text.insert(at, other.substr(below(other.size() + 1), below(32)));
      }
    }
  }
  return text;
}

}  // namespace

/// Runs a fuzz target over a folder of inputs, and over mutations of them that are the same each time.
int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: " << argv[0] << " CORPUS_FOLDER [MUTATIONS]\n";
    return 2;
  }
  std::vector<std::string> corpus;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    std::ifstream in(entry.path(), std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  if (corpus.empty()) {
    std::cerr << argv[1] << ": no inputs\n";
    return 1;
  }
  std::ranges::sort(corpus);
  for (const std::string& input : corpus) run(input);
  std::mt19937 random(1);
  const int mutations = argc > 2 ? std::stoi(argv[2]) : 50'000;
  for (int i = 0; i < mutations; ++i) run(mutated(corpus[random() % corpus.size()], corpus, random));
  std::cout << corpus.size() << " inputs and " << mutations << " mutations\n";
  return 0;
}
