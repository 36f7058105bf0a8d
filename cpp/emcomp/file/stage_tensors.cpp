#include "emcomp/file/stage_tensors.hpp"

#include <algorithm>

#include "emcomp/base/errors.hpp"
#include "emcomp/base/half.hpp"

namespace emcomp::file {

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

std::int64_t StageTensors::group(std::int64_t dim) const {
  const std::int64_t group = whole_number(stage.option("granularity", ""));
  check(group >= 1 && group <= dim,
        "its granularity does not suit " + std::to_string(dim) + " columns");
  return group;
}

const Tensor& StageTensors::tensor(const std::string& name) const {
  const auto found = tensors.find(prefix + name);
  if (found == tensors.end()) fail("the tensor '" + prefix + name + "' is missing");
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

const float* StageTensors::floats(const std::string& name, const Shape& shape) const {
  check_dtype(name, "F32");
  return reinterpret_cast<const float*>(tensor(name, shape).bytes.data());
}

std::shared_ptr<const transforms::LinearMap> StageTensors::dense_map(std::int64_t dim) const {
  const Tensor& map = tensor("map");
  check(map.shape.size() == 2 && map.shape[0] >= 1 && map.shape[0] <= dim && map.shape[1] == dim,
        "tensor 'map' has the shape " + shape_text(map.shape) + " for rows of " +
            std::to_string(dim) + " columns");
  if (dtype("map") == base::DType::kFloat32) {
    return transforms::make_dense_map(floats("map", map.shape), map.shape[0], dim);
  }
  const auto* halves = reinterpret_cast<const std::uint16_t*>(map.bytes.data());
  std::vector<float> entries(map.bytes.size() / sizeof *halves);
  std::transform(halves, halves + entries.size(), entries.begin(), base::float_from_half);
  return transforms::make_dense_map(entries.data(), map.shape[0], dim);
}

}  // namespace emcomp::file
