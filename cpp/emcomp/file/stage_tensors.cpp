#include "emcomp/file/stage_tensors.hpp"

#include <algorithm>
#include <cmath>
#include <locale>
#include <sstream>

#include "emcomp/base/errors.hpp"
#include "emcomp/base/half.hpp"

namespace emcomp::file {

namespace {

// Whether no entry has all bits of its exponent set.
template <class Bits, Bits kExponent>
bool all_finite(const Tensor& tensor) {
  const auto* entries = reinterpret_cast<const Bits*>(tensor.bytes.data());
  const std::size_t count = tensor.bytes.size() / sizeof(Bits);
  constexpr std::size_t kTogether = 1024;  // a loop that may end early is not vectorized
  for (std::size_t first = 0; first < count; first += kTogether) {
    bool found = false;
    for (std::size_t i = first; i < std::min(first + kTogether, count); ++i) {
      found |= (entries[i] & kExponent) == kExponent;
    }
    if (found) return false;
  }
  return true;
}

}  // namespace

std::string shape_text(const Shape& shape) {
  std::string text;
  for (const std::int64_t size : shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

void StageTensors::fail(const std::string& problem) const {
  throw FormatError("codec '" + stage.text + "': " + problem);
}

void StageTensors::check(bool good, const std::string& problem) const {
  if (!good) fail(problem);
}

Shape StageTensors::sizes() const {
  Shape sizes;
  for (const std::string& text : stage.sizes) {
    sizes.push_back(whole_number(text));
    check(sizes.back() >= 0, "'" + text + "' is not a whole number of at most 18 digits");
  }
  return sizes;
}

std::int64_t StageTensors::size(std::size_t which, std::size_t count) const {
  check(stage.sizes.size() == count, "its name must be followed by " + std::to_string(count) +
                                         (count == 1 ? " number" : " numbers"));
  return sizes()[which];
}

int StageTensors::bits(std::size_t which, std::size_t count, std::int64_t most) const {
  const std::int64_t bits = size(which, count);
  check(bits >= 1 && bits <= most, "codes must have 1 to " + std::to_string(most) + " bits");
  return static_cast<int>(bits);
}

void StageTensors::check_mean_bits(int most) const {
  check(stage.sizes.size() == 1, "its name must be followed by 1 number");
  std::istringstream number(stage.sizes[0]);
  number.imbue(std::locale::classic());
  double bits = 0;
  check((number >> bits) && bits > 0 && bits <= most,
        "its bits must be above 0 and up to " + std::to_string(most));
}

std::string StageTensors::choice(const std::string& key, std::string_view first,
                                 std::string_view second) const {
  const std::string value = stage.option(key, std::string(first));
  check(value == first || value == second,
        "its " + key + " must be '" + std::string(first) + "' or '" + std::string(second) + "'");
  return value;
}

std::int64_t StageTensors::group(std::int64_t dim) const {
  const std::int64_t group = whole_number(stage.option("granularity", ""));
  check(group >= 1 && group <= dim,
        "its granularity does not suit " + std::to_string(dim) + " columns");
  return group;
}

const Tensor& StageTensors::tensor(const std::string& name) const {
  const auto found = tensors.find(prefix + name);
  if (found == tensors.end()) fail("the tensor '" + prefix + name + "' is missing");
  used.insert(found->first);
  return found->second;
}

const Tensor& StageTensors::tensor(const std::string& name, const Shape& shape) const {
  const Tensor& found = tensor(name);
  check(found.shape == shape, "tensor '" + prefix + name + "' has the shape " +
                                  shape_text(found.shape) + ", expected " + shape_text(shape));
  return found;
}

void StageTensors::check_dtype(const std::string& name, std::string_view dtype) const {
  const std::string& found = tensor(name).dtype;
  check(found == dtype,
        "tensor '" + prefix + name + "' is " + found + ", expected " + std::string(dtype));
}

base::DType StageTensors::dtype(const std::string& name) const {
  if (tensor(name).dtype == "F16") return base::DType::kFloat16;
  check_dtype(name, "F32");
  return base::DType::kFloat32;
}

const std::uint8_t* StageTensors::codes(std::int64_t rows, std::int64_t row_bytes) const {
  check_dtype("codes", "U8");
  return tensor("codes", {rows, row_bytes}).bytes.data();
}

const Tensor& StageTensors::halves_or_floats(const std::string& name, const Shape& shape) const {
  const Tensor& found = tensor(name, shape);
  const bool finite = dtype(name) == base::DType::kFloat16
                          ? all_finite<std::uint16_t, 0x7c00>(found)
                          : all_finite<std::uint32_t, 0x7f800000>(found);
  check(finite, "tensor '" + prefix + name + "' has entries that are not finite");
  return found;
}

const float* StageTensors::floats(const std::string& name, const Shape& shape) const {
  check_dtype(name, "F32");
  return reinterpret_cast<const float*>(halves_or_floats(name, shape).bytes.data());
}

std::int64_t StageTensors::narrow_latents(std::int64_t dim) const {
  const Tensor& map = tensor("map");
  return map.dtype == "U8" && !map.shape.empty() ? map.shape.front() : dim;
}

std::shared_ptr<const transforms::LinearMap> StageTensors::dense_map(std::int64_t latents,
                                                                     std::int64_t dim) const {
  check(latents >= 1 && latents <= dim, "rows of " + std::to_string(dim) + " columns have 1 to " +
                                            std::to_string(dim) + " latents");
  if (tensor("map").dtype == "U8") {
    const float* steps = floats("steps", {latents});
    const Tensor& map = tensor("map", {latents, dim});
    std::vector<float> entries(map.bytes.size());
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const auto entry = static_cast<float>(static_cast<std::int8_t>(map.bytes[i]));
      entries[i] = entry * steps[i / static_cast<std::size_t>(dim)];
    }
    check(std::all_of(entries.begin(), entries.end(), [](float e) { return std::isfinite(e); }),
          "its map has entries that are not finite");
    return transforms::make_dense_map(entries.data(), latents, dim);
  }
  const Tensor& map = halves_or_floats("map", {latents, dim});
  if (dtype("map") == base::DType::kFloat32) {
    return transforms::make_dense_map(reinterpret_cast<const float*>(map.bytes.data()), latents,
                                      dim);
  }
  const auto* halves = reinterpret_cast<const std::uint16_t*>(map.bytes.data());
  std::vector<float> entries(map.bytes.size() / sizeof *halves);
  std::transform(halves, halves + entries.size(), entries.begin(), base::float_from_half);
  return transforms::make_dense_map(entries.data(), latents, dim);
}

}  // namespace emcomp::file
