#include "emcomp/file/codec_reader.hpp"

#include <charconv>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "emcomp/base/errors.hpp"
#include "emcomp/file/quantizer_readers.hpp"
#include "emcomp/readers/transformed_reader.hpp"

namespace emcomp::file {

namespace {

using ReaderPointer = std::shared_ptr<const readers::RowReader>;

// How latents become rows.
enum class Map : std::uint8_t { kNone, kRotation, kDense, kOrthonormal };

struct Transform {
  std::string_view name;
  const char* scales = nullptr;  // the default of an option, for scales of rows or none
  Map map;
  bool has_size = false;    // the number of latents; otherwise they are as many as columns,
  bool may_narrow = false;  // or as the rows of a map of bytes
  bool has_centre = false;  // an option, for an offset or none
  bool has_offset = false;  // always
  bool has_gain = false;    // where rows have scales
  bool has_activation = false;
};

constexpr Transform kTransforms[] = {
    {.name = "pca", .map = Map::kNone, .has_size = true},
    {.name = "rotate", .scales = "none", .map = Map::kRotation, .has_gain = true},
    {.name = "whiten", .scales = "row", .map = Map::kDense, .may_narrow = true, .has_centre = true},
    {.name = "principal",
     .scales = "row",
     .map = Map::kDense,
     .may_narrow = true,
     .has_centre = true},
    {.name = "autoencoder",
     .map = Map::kDense,
     .has_size = true,
     .has_offset = true,
     .has_activation = true},
    {.name = "svd", .map = Map::kOrthonormal, .has_size = true},
    {.name = "direction", .map = Map::kOrthonormal, .has_size = true},
};

const Transform& find_transform(const StageTensors& from) {
  for (const Transform& transform : kTransforms) {
    if (transform.name == from.stage.name) return transform;
  }
  from.fail("it is not known; use a newer emcomp");
}

std::shared_ptr<const transforms::LinearMap> rotation_back(const StageTensors& from,
                                                           std::int64_t dim) {
  std::uint64_t seed = 0;
  const std::string digits = from.stage.option("seed", "0");
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, seed);
  from.check(error == std::errc{} && stop == end, "its seed is not a number of 64 bits");
  return transforms::make_rotation(dim, seed, true);
}

bool has_scales(const StageTensors& from, const Transform& transform) {
  const std::string value = from.stage.option("scales", transform.scales);
  from.check(value == "row" || value == "none", "its scales must be 'row' or 'none'");
  return value == "row";
}

class CodecReader {
 public:
  CodecReader(std::string_view codec, std::int64_t rows, const Tensors& tensors)
      : stages_(parse_codec_string(codec)), rows_(rows), tensors_(tensors) {}

  ReaderPointer read_rows(std::int64_t dim) {
    ReaderPointer reader = read(0, dim, kTransformPrefix);
    for (const auto& [name, tensor] : tensors_) {
      if (used_.contains(name) || name.starts_with("vocabulary.")) continue;
      throw FormatError("the tensor '" + name + "' belongs to no part of the codec");
    }
    return reader;
  }

 private:
  // The reader of rows with `dim` columns that stage `index` and those after it have encoded.
  // `prefix` is that of the tensors of transforms.
  ReaderPointer read(std::size_t index, std::int64_t dim, const std::string& prefix) {
    const StageTensors from{index < stages_.size() ? stages_[index] : kept_, tensors_, "", used_};
    if (const MakeReader make = find_quantizer(from.stage.name); make != nullptr) {
      from.check(index + 1 >= stages_.size(), "it encodes rows and must come last");
      return make(from, rows_, dim);
    }
    return transformed({from.stage, tensors_, prefix, used_}, index, dim);
  }

  ReaderPointer transformed(const StageTensors& from, std::size_t index, std::int64_t dim) {
    const Transform& transform = find_transform(from);
    from.check(transform.has_size || from.stage.sizes.empty(),
               "its name is not followed by numbers");
    const std::int64_t size = transform.has_size     ? from.size(0, 1)
                              : transform.may_narrow ? from.narrow_latents(dim)
                                                     : dim;
    const std::string inner = from.prefix + kTransformPrefix;
    if (transform.map == Map::kNone) {
      from.check(size == dim, "the rows have " + std::to_string(dim) + " columns");
      return read(index + 1, dim, inner);
    }
    readers::Decoding decoding;
    ReaderPointer latents;
    if (transform.map == Map::kRotation) {
      latents = read(index + 1, dim, inner);  // its codes prove that rows are so long
      decoding.map = rotation_back(from, dim);
      decoding.orthonormal = true;
    } else {
      decoding.map = from.dense_map(size, dim);
      // Rounded to float16 a map is not quite orthonormal.
      decoding.orthonormal =
          transform.map == Map::kOrthonormal && from.dtype("map") == base::DType::kFloat32;
      latents = read(index + 1, size, inner);
    }
    decoding.elu = transform.has_activation && from.choice("activation", "linear", "elu") == "elu";
    if (transform.has_offset ||
        (transform.has_centre && from.choice("centre", "mean", "none") == "mean")) {
      const float* offset = from.floats("offset", {dim});
      decoding.offset.assign(offset, offset + dim);
    }
    if (transform.scales != nullptr && has_scales(from, transform)) {
      from.check_dtype("scales", "F16");
      const Tensor& scales = from.tensor("scales", {rows_});
      decoding.scales = reinterpret_cast<const std::uint16_t*>(scales.bytes.data());
      if (transform.has_gain) decoding.gain = *from.floats("gain", {1});
    }
    return readers::make_transformed_reader(std::move(latents), std::move(decoding));
  }

  static constexpr const char* kTransformPrefix = "transform.";

  std::vector<Stage> stages_;
  Stage kept_{.text = "float:32", .name = "float", .sizes = {"32"}, .options = {}};
  std::int64_t rows_;
  const Tensors& tensors_;
  std::set<std::string> used_;
};

}  // namespace

ReaderPointer make_codec_reader(std::string_view codec, std::int64_t rows, std::int64_t dim,
                                const Tensors& tensors) {
  constexpr std::int64_t kMostColumns = std::int64_t{1} << 26;  // their offsets are 32-bit numbers
  if (rows < 1 || dim < 1 || dim > kMostColumns) {
    throw FormatError("a table of " + std::to_string(rows) + " x " + std::to_string(dim) +
                      ": at least 1 x 1 and at most " + std::to_string(kMostColumns) +
                      " columns can be read");
  }
  return CodecReader(codec, rows, tensors).read_rows(dim);
}

}  // namespace emcomp::file
