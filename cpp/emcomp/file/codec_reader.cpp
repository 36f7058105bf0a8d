#include "emcomp/file/codec_reader.hpp"

#include <charconv>
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
  const char* centre;  // its options' defaults
  const char* scales;
  Map map;
  bool has_gain = false;    // where rows have scales
  bool has_offset = false;  // whether centred or not
};

constexpr Transform kTransforms[] = {
    {.name = "pca", .centre = "none", .scales = "none", .map = Map::kNone},
    {.name = "rotate", .centre = "none", .scales = "none", .map = Map::kRotation, .has_gain = true},
    {.name = "whiten", .centre = "mean", .scales = "row", .map = Map::kDense},
    {.name = "principal", .centre = "mean", .scales = "row", .map = Map::kDense},
    {.name = "autoencoder",
     .centre = "none",
     .scales = "none",
     .map = Map::kDense,
     .has_offset = true},
    {.name = "svd", .centre = "none", .scales = "none", .map = Map::kOrthonormal},
    {.name = "direction", .centre = "none", .scales = "none", .map = Map::kOrthonormal},
};

const Transform& find_transform(const StageTensors& from) {
  for (const Transform& transform : kTransforms) {
    if (transform.name == from.stage.name) return transform;
  }
  from.fail("this version of the library does not know it; use a newer one");
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

class CodecReader {
 public:
  CodecReader(std::string_view codec, std::int64_t rows, const Tensors& tensors)
      : stages_(parse_codec_string(codec)), rows_(rows), tensors_(tensors) {}

  // The reader of rows with `dim` columns that stage `index` and those after it have encoded.
  // `prefix` is that of the tensors of transforms.
  ReaderPointer read(std::size_t index, std::int64_t dim, const std::string& prefix) const {
    const StageTensors from{index < stages_.size() ? stages_[index] : kept_, tensors_, ""};
    if (const MakeReader make = find_quantizer(from.stage.name); make != nullptr) {
      from.check(index + 1 >= stages_.size(), "it encodes rows and must come last");
      return make(from, rows_, dim);
    }
    return transformed({from.stage, tensors_, prefix}, index, dim);
  }

 private:
  ReaderPointer transformed(const StageTensors& from, std::size_t index, std::int64_t dim) const {
    const Transform& transform = find_transform(from);
    from.check(from.sizes().size() <= 1, "its name is followed by several numbers");
    const std::string inner = from.prefix + kTransformPrefix;
    if (transform.map == Map::kNone) {
      from.check(from.size(0, 1) == dim, "rows have " + std::to_string(dim) + " columns");
      return read(index + 1, dim, inner);
    }
    readers::Decoding decoding;
    ReaderPointer latents;
    if (transform.map == Map::kRotation) {
      latents = read(index + 1, dim, inner);  // its codes prove that rows are so long
      decoding.map = rotation_back(from, dim);
      decoding.orthonormal = true;
    } else {
      decoding.map = from.dense_map(dim);
      // Rounded to float16 a map is not quite orthonormal.
      decoding.orthonormal =
          transform.map == Map::kOrthonormal && from.dtype("map") == base::DType::kFloat32;
      latents = read(index + 1, decoding.map->inputs(), inner);
    }
    decoding.elu = from.stage.option("activation", "linear") == "elu";
    if (transform.has_offset || from.stage.option("centre", transform.centre) != "none") {
      const float* offset = from.floats("offset", {dim});
      decoding.offset.assign(offset, offset + dim);
    }
    if (from.stage.option("scales", transform.scales) != "none") {
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
};

}  // namespace

ReaderPointer make_codec_reader(std::string_view codec, std::int64_t rows, std::int64_t dim,
                                const Tensors& tensors) {
  return CodecReader(codec, rows, tensors).read(0, dim, "transform.");
}

}  // namespace emcomp::file
