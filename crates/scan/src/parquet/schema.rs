//! The columns of a scan in Parquet.
//!
//! What the kernel keeps signed is signed here (`off_t`, `blkcnt_t`), so that differences work in SQL;
//! identifiers and sums that may need the last bit are unsigned. Times are instants in UTC. The columns
//! of directories are null for anything else, `user` and `group` where the number has no name, `btime`
//! where the file system keeps none, `path_bytes` where `path` says it all.

use parquet::errors::ParquetError;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::Type;

/// The schema, in the language that `parquet-schema` and others print.
pub(super) const SCHEMA: &str = "
message pwalk {
  required binary path (STRING);
  required binary name (STRING);
  required binary extension (STRING);
  required binary type (STRING);
  required int64 inode (INTEGER(64, false));
  required int64 parent_inode (INTEGER(64, false));
  required int32 depth;
  required int32 mode (INTEGER(32, false));
  required int32 uid (INTEGER(32, false));
  required int32 gid (INTEGER(32, false));
  optional binary user (STRING);
  optional binary group (STRING);
  required int64 size;
  required int64 blocks;
  required int32 nlink (INTEGER(32, false));
  required int64 dev (INTEGER(64, false));
  required int64 rdev (INTEGER(64, false));
  required int64 atime (TIMESTAMP(NANOS, true));
  required int64 mtime (TIMESTAMP(NANOS, true));
  required int64 ctime (TIMESTAMP(NANOS, true));
  optional int64 btime (TIMESTAMP(NANOS, true));
  optional int64 fcount;
  optional int64 dirsum (INTEGER(64, false));
  optional int64 tree_count;
  optional int64 tree_size (INTEGER(64, false));
  optional int64 tree_blocks;
  optional binary path_bytes;
}";

/// The schema as the Parquet library wants it.
pub(super) fn schema() -> Result<Type, ParquetError> {
    parse_message_type(SCHEMA)
}
