// read_graph: a FileGraph of any format as a Model.
#ifndef FAT_SRC_READER_READ_GRAPH_HPP_INCLUDED
#define FAT_SRC_READER_READ_GRAPH_HPP_INCLUDED

#include "file_graph.hpp"

#include <fat/io/read_options.hpp>
#include <fat/model/model.hpp>

namespace fat::inline FAT_ABI::reader {

/// The network of a file. What cannot be read ends it there: the outputs are then the tensors that the rest reads, and
/// Model::notes say so. Errors: open dimensions without a size, no output that can be had, files that contradict
/// themselves; with options.strict anything that cannot be read.
Model read_graph(const FileGraph& graph, const ReadOptions& options);

}  // namespace fat::inline FAT_ABI::reader

#endif
