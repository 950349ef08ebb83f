// The reader of graphs: axes through moves of every kind against plain loops, networks that end before what cannot be
// read, open shapes, several inputs and outputs.
#include "../../src/reader/read_graph.hpp"

#include <fat/model/forward.hpp>
#include <fat/model/ports.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(unit_reader)

namespace {

using fat::ReadOptions;
using fat::reader::Attribute;
using fat::reader::Data;
using fat::reader::Dims;
using fat::reader::FileGraph;
using fat::reader::FileNode;
using fat::reader::read_graph;

/// Reals with a shape, the last axis innermost.
struct Block {
  Dims dims;
  std::vector<float> values;
};
using Blocks = std::map<std::string, Block>;

Block ramp(const Dims& dims, float start = 0.0F) {
  Block block{dims, std::vector<float>(static_cast<std::size_t>(fat::reader::count(dims)))};
  for (std::size_t i = 0; i != block.values.size(); ++i) block.values[i] = start + static_cast<float>(i);
  return block;
}

FileNode node(const std::string& op, std::vector<std::string> inputs, std::vector<std::string> outputs,
              std::map<std::string, Attribute, std::less<>> attributes = {}) {
  return {op, "", op + "_" + outputs[0], std::move(inputs), std::move(outputs), std::move(attributes)};
}

FileGraph graph(const std::vector<std::pair<std::string, Dims>>& inputs, std::vector<FileNode> nodes,
                std::vector<std::string> outputs) {
  FileGraph made;
  made.file = "case.onnx";
  for (const auto& [name, dims] : inputs) made.inputs.push_back({name, dims, true, false});
  made.nodes = std::move(nodes);
  made.outputs = std::move(outputs);
  return made;
}

void add_integers(FileGraph& to, const std::string& name, const Dims& values, const Dims& dims) {
  to.constants[name] = std::make_shared<const Data>(Data{dims, true, {}, values});
}
void add_integers(FileGraph& to, const std::string& name, const Dims& values) {
  add_integers(to, name, values, {static_cast<std::int64_t>(values.size())});
}
void add_reals(FileGraph& to, const std::string& name, const Block& block) {
  to.constants[name] = std::make_shared<const Data>(Data{block.dims, false, block.values, {}});
}

/// The outputs of a model by name, in the order of the file.
Blocks run(const fat::Model& model, const Blocks& inputs) {
  std::vector<float> in(model.input_extent().size()), out(model.output_extent().size());
  for (const fat::Port& port : fat::input_ports(model))
    fat::for_each_place(
        port, [&](std::size_t stored, std::size_t there) { in[stored] = inputs.at(port.name).values.at(there); });
  fat::FloatRunner runner{model};
  runner.run({in.data(), in.size()}, 1, {out.data(), out.size()});
  Blocks result;
  for (const fat::Port& port : fat::output_ports(model)) {
    Block block{Dims(port.dims.begin(), port.dims.end()), std::vector<float>(port.size())};
    fat::for_each_place(port, [&](std::size_t stored, std::size_t there) { block.values[there] = out[stored]; });
    result.emplace(port.name, std::move(block));
  }
  return result;
}

void expect_equal(const Block& found, const Block& wanted, const std::string& where = "", float tolerance = 0.0F) {
  BOOST_TEST(found.dims == wanted.dims, where << ": another shape");
  if (found.dims != wanted.dims) return;
  for (std::size_t i = 0; i != wanted.values.size(); ++i)
    if (!(std::fabs(found.values[i] - wanted.values[i]) <= tolerance)) {
      BOOST_ERROR(where << ": element " << i << " is " << found.values[i] << ", not " << wanted.values[i]);
      return;
    }
}

/// Elements of `from` at the places that `place` gives for each index of an output of shape `dims`.
Block picked(const Block& from, const Dims& dims, const std::function<Dims(const Dims&)>& place) {
  Block to = ramp(dims);
  for (std::size_t i = 0; i != to.values.size(); ++i) {
    Dims index(dims.size());
    auto rest = static_cast<std::int64_t>(i);
    for (std::size_t axis = dims.size(); axis-- != 0;) index[axis] = rest % dims[axis], rest /= dims[axis];
    const Dims at = place(index);
    std::int64_t flat = 0;
    for (std::size_t axis = 0; axis != at.size(); ++axis) flat = flat * from.dims[axis] + at[axis];
    to.values[i] = from.values[static_cast<std::size_t>(flat)];
  }
  return to;
}

Block transposed(const Block& from, const Dims& perm) {
  Dims dims;
  for (const std::int64_t axis : perm) dims.push_back(from.dims[static_cast<std::size_t>(axis)]);
  return picked(from, dims, [&](const Dims& index) {
    Dims at(index.size());
    for (std::size_t i = 0; i != index.size(); ++i) at[static_cast<std::size_t>(perm[i])] = index[i];
    return at;
  });
}

/// Draws moves, and what they make of a tensor.
class Mover {
 public:
  explicit Mover(std::uint32_t seed) : random_(seed) {
    static const std::vector<Dims> shapes{{1, 4, 3, 6}, {1, 12, 2, 2}, {1, 6, 4},      {2, 3, 4},
                                          {1, 24},      {6, 4},        {2, 2, 3, 1, 2}};
    start_ = block_ = ramp(shapes[below(shapes.size())]);
    made_ = graph({{"x", block_.dims}}, {}, {"y"});
    const std::size_t moves = 1 + below(6);
    for (std::size_t i = 0; i != moves; ++i) move(i + 1 == moves ? "y" : "t" + std::to_string(i));
  }
  const FileGraph& file() const { return made_; }
  const Block& start() const { return start_; }
  const Block& wanted() const { return block_; }

 private:
  std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>{0, n - 1}(random_); }

  void move(const std::string& to) {
    const std::string from = made_.nodes.empty() ? "x" : made_.nodes.back().outputs[0], constant = to + "/c";
    const Dims dims = block_.dims;
    const std::size_t axis = below(dims.size()), extent = static_cast<std::size_t>(dims[axis]);
    const auto signed_axis = static_cast<std::int64_t>(axis);
    switch (below(5)) {
      case 0: {
        Dims perm(dims.size());
        std::iota(perm.begin(), perm.end(), 0);
        std::shuffle(perm.begin(), perm.end(), random_);
        block_ = transposed(block_, perm);
        made_.nodes.push_back(node("Transpose", {from}, {to}, {{"perm", perm}}));
        return;
      }
      case 1: {
        Dims target;
        for (auto rest = static_cast<std::int64_t>(block_.values.size()); rest != 1 && target.size() != 4;) {
          std::vector<std::int64_t> factors;
          for (std::int64_t f = 1; f <= rest; ++f)
            if (rest % f == 0) factors.push_back(f);
          target.push_back(factors[below(factors.size())]);
          rest /= target.back();
        }
        std::int64_t product = 1;
        for (const std::int64_t each : target) product *= each;
        target.insert(target.begin(), static_cast<std::int64_t>(block_.values.size()) / product);
        block_.dims = target;
        add_integers(made_, constant, target);
        made_.nodes.push_back(node("Reshape", {from, constant}, {to}));
        return;
      }
      case 2: {  // every second from behind, or what is left without the ends
        const bool back = below(2) == 0;
        const std::int64_t begin = back ? dims[axis] - 1 : std::min<std::int64_t>(1, dims[axis] - 1),
                           step = back ? -2 : 1;
        Dims result = dims;
        result[axis] = back ? (dims[axis] + 1) / 2 : dims[axis] - begin;
        block_ = picked(block_, result, [&](Dims index) {
          index[axis] = begin + step * index[axis];
          return index;
        });
        add_integers(made_, constant + "0", {begin});
        add_integers(made_, constant + "1", {back ? std::numeric_limits<std::int64_t>::min() : 1000});
        add_integers(made_, constant + "2", {signed_axis});
        add_integers(made_, constant + "3", {step});
        made_.nodes.push_back(
            node("Slice", {from, constant + "0", constant + "1", constant + "2", constant + "3"}, {to}));
        return;
      }
      case 3: {
        Dims indices(1 + below(4));
        for (std::int64_t& index : indices) index = static_cast<std::int64_t>(below(extent));
        Dims result = dims;
        result[axis] = static_cast<std::int64_t>(indices.size());
        block_ = picked(block_, result, [&](Dims index) {
          index[axis] = indices[static_cast<std::size_t>(index[axis])];
          return index;
        });
        if (below(2) == 0) indices[0] -= dims[axis];
        add_integers(made_, constant, indices);
        made_.nodes.push_back(node("Gather", {from, constant}, {to}, {{"axis", signed_axis}}));
        return;
      }
      default: {
        Dims result = dims;
        result[axis] *= 2;
        block_ = picked(block_, result, [&](Dims index) {
          index[axis] %= dims[axis];
          return index;
        });
        made_.nodes.push_back(node("Concat", {from, from}, {to}, {{"axis", signed_axis}}));
      }
    }
  }

  std::mt19937 random_;
  FileGraph made_;
  Block start_, block_;
};

std::string message_of(const std::function<void()>& what) {
  try {
    what();
  } catch (const fat::error& problem) {
    return problem.what();
  }
  return "no error";
}

/// x -> Relu -> a; a -> NonMaxSuppression (not read) -> y
FileGraph cut_network() {
  return graph({{"x", {1, 2, 3, 3}}},
               {node("Relu", {"x"}, {"a"}), node("Neg", {"a"}, {"b"}), node("Sigmoid", {"a"}, {"whole"}),
                node("NonMaxSuppression", {"a", "b"}, {"kept"}), node("Abs", {"kept"}, {"y"})},
               {"y", "whole"});
}

}  // namespace

BOOST_AUTO_TEST_CASE(moves_one_after_another_are_what_plain_loops_make) {
  for (std::uint32_t seed = 0; seed != 1000; ++seed) {
    const Mover moved{seed};
    const Blocks found = run(read_graph(moved.file(), {}), {{"x", moved.start()}});
    expect_equal(found.at("y"), moved.wanted(), "seed " + std::to_string(seed));
  }
}

BOOST_AUTO_TEST_CASE(moves_of_axes_cost_nothing) {
  FileGraph file =
      graph({{"x", {1, 6, 2, 4}}},
            {node("Reshape", {"x", "apart"}, {"a"}), node("Transpose", {"a"}, {"b"}, {{"perm", Dims{0, 1, 3, 4, 2}}}),
             node("Transpose", {"b"}, {"c"}, {{"perm", Dims{0, 1, 4, 2, 3}}}), node("Reshape", {"c", "whole"}, {"d"}),
             node("Relu", {"d"}, {"y"})},
            {"y"});
  add_integers(file, "apart", {1, 2, 3, 2, 4});
  add_integers(file, "whole", {1, 6, 2, 4});
  const fat::Model model = read_graph(file, {});
  BOOST_TEST(model.nodes.size() == 1U);
  expect_equal(run(model, {{"x", ramp({1, 6, 2, 4})}}).at("y"), ramp({1, 6, 2, 4}));
}

BOOST_AUTO_TEST_CASE(channels_are_shuffled) {
  FileGraph file =
      graph({{"x", {1, 6, 2, 3}}},
            {node("Reshape", {"x", "apart"}, {"a"}), node("Transpose", {"a"}, {"b"}, {{"perm", Dims{0, 2, 1, 3, 4}}}),
             node("Reshape", {"b", "whole"}, {"y"})},
            {"y"});
  add_integers(file, "apart", {1, 2, 3, 2, 3});
  add_integers(file, "whole", {1, 6, 2, 3});
  const Block x = ramp({1, 6, 2, 3});
  Block wanted = transposed({{1, 2, 3, 2, 3}, x.values}, {0, 2, 1, 3, 4});
  wanted.dims = {1, 6, 2, 3};
  expect_equal(run(read_graph(file, {}), {{"x", x}}).at("y"), wanted);
}

/// One index again and again has no step between its places, which is not that of neighbours.
BOOST_AUTO_TEST_CASE(one_index_gathered_again_is_no_identity) {
  for (const Dims& indices : {Dims{0, 0}, Dims{-2, 0}, Dims{1, 1}, Dims{1, 0}, Dims{0, 1}}) {
    FileGraph file = graph({{"x", {1, 2, 3}}}, {node("Gather", {"x", "i"}, {"y"}, {{"axis", std::int64_t{1}}})}, {"y"});
    add_integers(file, "i", indices);
    const Block x = ramp({1, 2, 3});
    const Block wanted = picked(x, {1, 2, 3}, [&](Dims index) {
      index[1] = (indices[static_cast<std::size_t>(index[1])] + 2) % 2;
      return index;
    });
    expect_equal(run(read_graph(file, {}), {{"x", x}}).at("y"), wanted);
  }
}

/// Where an output_shape puts the padding: more of it in front unless auto_pad is SAME_UPPER; what is asked for beyond
/// the full result is the bias. SAME makes no more than the full result.
BOOST_AUTO_TEST_CASE(transposed_convolutions_of_a_stated_size) {
  struct Case {
    std::string automatic;
    std::int64_t size;  // 0: none is stated
    std::int64_t kernel;
    std::size_t first;  // where in the full result the output begins
    std::int64_t wanted;
  };
  for (const Case& c : {Case{"NOTSET", 7, 4, 1, 7}, Case{"SAME_LOWER", 7, 4, 1, 7}, Case{"SAME_UPPER", 7, 4, 0, 7},
                        Case{"NOTSET", 5, 4, 2, 5}, Case{"SAME_UPPER", 5, 4, 1, 5}, Case{"NOTSET", 10, 4, 0, 10},
                        Case{"SAME_UPPER", 0, 1, 0, 5}, Case{"SAME_LOWER", 0, 1, 0, 5}, Case{"SAME_UPPER", 0, 3, 0, 6},
                        Case{"SAME_LOWER", 0, 3, 1, 6}}) {
    std::map<std::string, Attribute, std::less<>> attributes{{"strides", Dims{2}}, {"auto_pad", c.automatic}};
    if (c.size != 0) attributes.emplace("output_shape", Dims{c.size});
    FileGraph file = graph({{"x", {1, 1, 3}}}, {node("ConvTranspose", {"x", "w", "b"}, {"y"}, attributes)}, {"y"});
    const Block w = ramp({1, 1, c.kernel}, 1.0F);
    add_reals(file, "w", w);
    add_reals(file, "b", {{1}, {0.5F}});
    const Block x = ramp({1, 1, 3}, 1.0F);
    std::vector<float> full(32, 0.5F);
    for (std::size_t i = 0; i != 3; ++i)
      for (std::size_t k = 0; k != w.values.size(); ++k) full[2 * i + k] += x.values[i] * w.values[k];
    Block wanted = ramp({1, 1, c.wanted});
    std::copy_n(full.begin() + static_cast<std::ptrdiff_t>(c.first), c.wanted, wanted.values.begin());
    expect_equal(run(read_graph(file, {}), {{"x", x}}).at("y"), wanted,
                 c.automatic + " " + std::to_string(c.size) + " " + std::to_string(c.kernel), 1e-5F);
  }
}

BOOST_AUTO_TEST_CASE(an_unknown_operator_ends_the_network) {
  const fat::Model model = read_graph(cut_network(), {});
  BOOST_REQUIRE(model.notes.size() == 1U);
  for (const char* part : {"NonMaxSuppression", "'whole'", "'a'", "'b'"})
    BOOST_TEST(model.notes[0].find(part) != std::string::npos, model.notes[0]);
  const Block x = ramp({1, 2, 3, 3}, -4.0F);
  const Blocks found = run(model, {{"x", x}});
  BOOST_TEST(found.size() == 3U);
  for (std::size_t i = 0; i != x.values.size(); ++i) {
    const float relu = std::max(x.values[i], 0.0F);
    BOOST_TEST(found.at("a").values[i] == relu);
    BOOST_TEST(found.at("b").values[i] == -relu);
  }
}

BOOST_AUTO_TEST_CASE(strict_refuses_what_cannot_be_read) {
  ReadOptions strict;
  strict.strict = true;
  const std::string message = message_of([&] { read_graph(cut_network(), strict); });
  for (const char* part : {"case.onnx", "NonMaxSuppression", "--strict"})
    BOOST_TEST(message.find(part) != std::string::npos, message);
}

BOOST_AUTO_TEST_CASE(nothing_left_is_an_error) {
  const FileGraph file = graph({{"x", {1, 4}}}, {node("Unheard", {"x"}, {"y"})}, {"y"});
  const std::string message = message_of([&] { read_graph(file, {}); });
  BOOST_TEST(message.find("Unheard") != std::string::npos, message);
}

BOOST_AUTO_TEST_CASE(the_network_ends_where_it_is_told_to) {
  ReadOptions options;
  options.end_at = {"b", "a"};
  const fat::Model model = read_graph(cut_network(), options);
  BOOST_TEST(model.notes.empty());
  const Blocks found = run(model, {{"x", ramp({1, 2, 3, 3}, -4.0F)}});
  BOOST_TEST(found.size() == 2U);
  BOOST_TEST(found.contains("a"));
  BOOST_TEST(found.contains("b"));
  for (const char* name : {"y", "nowhere"}) {
    options.end_at = {name};
    const std::string message = message_of([&] { read_graph(cut_network(), options); });
    BOOST_TEST(message.find("--end-at names '" + std::string{name}) != std::string::npos, message);
  }
}

BOOST_AUTO_TEST_CASE(open_dimensions_are_asked_for) {
  const FileGraph file = graph({{"x", {-1, 3, -1, -1}}}, {node("Relu", {"x"}, {"y"})}, {"y"});
  BOOST_TEST(message_of([&] { read_graph(file, {}); }).find("--shape x=") != std::string::npos);
  ReadOptions options;
  options.shapes["x"] = {1, 3, 4, 5};
  expect_equal(run(read_graph(file, options), {{"x", ramp({1, 3, 4, 5})}}).at("y"), ramp({1, 3, 4, 5}));
  for (const auto& [name, dims] : std::vector<std::pair<std::string, Dims>>{
           {"x", {1, 2, 4, 5}}, {"x", {1, 3, 4}}, {"x", {1, 3, 0, 5}}, {"z", {1, 3, 4, 5}}}) {
    options.shapes = {{name, dims}};
    BOOST_TEST(message_of([&] { read_graph(file, options); }).find("--shape") != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(several_inputs_and_outputs_keep_their_names) {
  FileGraph file = graph(
      {{"image", {1, 2, 2, 3}}, {"row", {1, 3}}, {"unread", {2, 2}}},
      {node("Add", {"image", "row"}, {"sum"}), node("Relu", {"row"}, {"own"}), node("Identity", {"image"}, {"same"})},
      {"own", "sum", "same"});
  const Block image = ramp({1, 2, 2, 3}, -5.0F), row = ramp({1, 3}, -1.0F);
  const Blocks found = run(read_graph(file, {}), {{"image", image}, {"row", row}, {"unread", ramp({2, 2})}});
  Block sum = image, own = row;
  for (std::size_t i = 0; i != sum.values.size(); ++i) sum.values[i] += row.values[i % 3];
  for (float& value : own.values) value = std::max(value, 0.0F);
  expect_equal(found.at("sum"), sum, "sum");
  expect_equal(found.at("own"), own, "own");
  expect_equal(found.at("same"), image, "same");
}

BOOST_AUTO_TEST_CASE(a_network_that_changes_nothing_has_an_output_of_its_own_name) {
  const FileGraph file = graph({{"x", {1, 2, 2, 3}}}, {node("Identity", {"x"}, {"y"})}, {"y"});
  expect_equal(run(read_graph(file, {}), {{"x", ramp({1, 2, 2, 3})}}).at("y"), ramp({1, 2, 2, 3}));
}

BOOST_AUTO_TEST_SUITE_END()
