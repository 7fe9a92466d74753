// The records, flags and numbers that lib/ and native/ share and that no caller sees. Each is declared here once:
// scripts/generate.mjs reads this file for lib/generated/wire.ts and for the list of values that the addon reports, so
// that a field can be added, widened or moved here without a change of numbers anywhere else. No code, no lock: one
// side writes a record before the call or the completion that hands it to the other side.
//
// Records contain numbers of fixed width and other records. TypeScript gets the index of a field in an array of the
// field's own width: a Uint32Array, Float64Array or BigInt64Array.
#ifndef ACALL_CORE_WIRE_H_
#define ACALL_CORE_WIRE_H_

#include <dirent.h>
#include <fcntl.h>

#include <cstddef>
#include <cstdint>

#include "abi.h"

namespace acall {

// ---- Numbers

inline constexpr int32_t kMaxErrno = 4095;  // results from -4095 to -1 are errors
inline constexpr uint32_t kArgumentCount = 6;
inline constexpr int32_t kWorkingDirectory = AT_FDCWD;  // in place of a descriptor

// Slots of the promise layer come in chunks of kSlotChunk. The lower bits of a slot are its place in its chunk.
inline constexpr uint32_t kSlotChunkBits = 12;
inline constexpr uint32_t kSlotChunk = 1u << kSlotChunkBits;
inline constexpr uint32_t kSlotPlaceMask = kSlotChunk - 1;

inline constexpr uint32_t kMaxStatsInBatch = 128;  // of submitStats()
inline constexpr uint32_t kMaxReadRecords = 128;   // of one readFilesTake()

// `place` of inlineStat() and inlineFstat(): the slot that gets the stat result times kStatPlaceSlot, plus StatFlags.
inline constexpr uint32_t kStatPlaceSlot = 8;
inline constexpr uint32_t kStatPlaceFlags = kStatPlaceSlot - 1;
inline constexpr int32_t kStatNotNow = 1;  // returned by both besides 0 and -errno: the stat must go to the pool

inline constexpr int32_t kHasNul = -1;     // returned by functions that take paths joined by NULs: a path has a NUL
inline constexpr int32_t kCallDone = 1;    // CallRecord::status: complete, and the first argument is the result
inline constexpr int32_t kCloseWaits = 1;  // returned by handleClose(): aborted calls still use the descriptor

inline constexpr uint32_t kSubmitErrorRange = 4096;  // submitError(): index * kSubmitErrorRange + errno
inline constexpr int32_t kNoSubmitError = -1;
inline constexpr int32_t kWaitForever = -1;  // seconds of a wait
inline constexpr int32_t kNoRoom = -1;       // returned by arenaTake()

inline constexpr uint32_t kNoDepthLimit = UINT32_MAX;  // of a walk

inline constexpr uint32_t kRecordAlign = 8;  // CallRecords, RunRecords and their parts begin at multiples of this
inline constexpr uint32_t kRunsAlign = 4;    // the WalkRuns of a page begin at a multiple of this

inline constexpr uint32_t kProgramMemory = 256;  // offset of a program's image in its op's memory

// ---- Results

// One completion, as drain() stores it.
struct DrainedResult {
  uint32_t word;  // DrainedWord
  uint32_t low;   // halves of the result
  uint32_t high;
};

struct DrainedWord {
  enum : uint32_t {
    kSlot = 0x7fffffff,              // mask of the slot
    kCarriesDescriptors = 1u << 31,  // the result may carry descriptors: settleSlot() must be called
  };
};

// ---- Stats: submitStats, submitFstat, inlineStat, inlineFstat

struct StatFlag {
  enum : uint32_t {
    kNoFollow = 1,
    kIntegers = 2,  // the result is StatIntegers
    kUnreferenced = 4,
    kNotInline = 8,  // used in lib/ only: an inline stat had no answer, or must not be made
  };
};

// A stat result as numbers.
struct StatNumbers {
  double dev, rdev, ino, size, blocks, atime_ms, mtime_ms, ctime_ms, birthtime_ms;
  uint32_t mode, nlink, uid, gid, blksize, atime_nsec, mtime_nsec, ctime_nsec, birthtime_nsec, padding;
};

// A stat result for bigints. Seconds and nanoseconds are apart, since nanoseconds since 1970 overflow a word in 2262.
struct StatIntegers {
  int64_t dev, mode, nlink, uid, gid, rdev, blksize, ino, size, blocks;
  int64_t atime_sec, atime_nsec, mtime_sec, mtime_nsec, ctime_sec, ctime_nsec, birthtime_sec, birthtime_nsec;
};

// The room for a stat result that each slot of a chunk has.
union StatResult {
  StatNumbers numbers;
  StatIntegers integers;
};

// Many stat results as columns: first all wide columns, of 8 bytes for each row, in this order; then all narrow
// columns, of 4 bytes for each row.
struct WideColumn {
  enum : uint32_t {
    kSize,  // these six are doubles
    kBlocks,
    kAtimeMs,
    kMtimeMs,
    kCtimeMs,
    kBirthtimeMs,
    kIno,  // these three are unsigned integers
    kDev,
    kRdev,
    kCount
  };
};
struct NarrowColumn {
  enum : uint32_t {
    kError,  // 0 or -errno
    kMode,
    kNlink,
    kUid,
    kGid,
    kBlksize,
    kAtimeNsec,
    kMtimeNsec,
    kCtimeNsec,
    kBirthtimeNsec,
    kCount
  };
};

// ---- Calls: submitCalls, submitCall

// Which calls with ACALL_SUBMIT_INLINE may be made inline.
enum class InlineCalls : uint32_t { kNone, kNeverBlocking, kAll };

enum class ArgumentKind : uint32_t {
  kValue,
  kPointer  // to `length` bytes at offset `low` of the record's data
};

struct CallArgument {
  ArgumentKind kind;
  uint32_t length;
  uint32_t low, high;  // halves of the value
};

// One call. The data of its pointer arguments follows the record.
struct CallRecord {
  uint32_t nr;
  uint32_t flags;  // ACALL_SUBMIT_*
  uint32_t slot;
  uint32_t bytes;  // record and data, a multiple of kRecordAlign
  uint32_t facts;  // CallFact
  uint32_t data_bytes;
  int32_t status;   // out: 0 or -errno; kCallDone: `low` and `high` of the first argument are the result
  uint32_t handle;  // the handle whose descriptor is among the arguments; 0: none
  CallArgument args[kArgumentCount];
};

struct CallFact {
  enum : uint32_t {
    kKeep = 1,  // the call's memory is kept for copyOut()
    kUnreferenced = 2,
    kSkip = 4,         // aborted before it was submitted: the record is skipped
    kOpens = 8,        // the result becomes a handle: see takeHandle()
    kClosesOurs = 16,  // close() of a descriptor that acall has opened
  };
};

// ---- Jobs: statMany, walk, du, rmTree, readFiles, and files

struct JobOption {
  enum : uint32_t {
    kUnreferenced = 1,    // all jobs and file tasks
    kNoFollow = 2,        // statMany
    kStats = 4,           // walk
    kNamesOnly = 8,       // walk
    kOneFileSystem = 16,  // walk, du
    kApparentSize = 32,   // du
  };
};

// Entries of one directory that are neighbours in a page. The runs of a page follow its types (a byte each), from the
// next multiple of kRunsAlign on.
struct WalkRun {
  uint32_t rows;
  uint32_t depth;         // of the entries; 1: the root's own
  uint32_t prefix_bytes;  // at the beginning of each text: the directory's path and a slash
};

enum class EntryType : uint8_t {
  kFifo = DT_FIFO,
  kCharacterDevice = DT_CHR,
  kDirectory = DT_DIR,
  kBlockDevice = DT_BLK,
  kFile = DT_REG,
  kSymbolicLink = DT_LNK,
  kSocket = DT_SOCK
};

// The step of a tree's job that failed.
enum class TreeCall : uint8_t {
  kOpen,
  kRead,
  kStat,
  kUnlink,
  kRemoveDirectory,
  kRefused  // restrict() has taken away a call, and the job has not begun
};

struct DuTotals {
  double bytes, files, directories, errors;  // files: everything but directories; hard links count once
};

// The last step on a file; with an error, the step that failed.
enum class FileCall : uint32_t {
  kOpen,
  kStat,
  kRead,
  kTooLarge,
  kWrite,
  kSync,
  kRename,
  kClose,
  kCopy,
  kMakeDirectory,
  kLink
};

// The answer of readFilesTake(); up to kMaxReadRecords records follow.
struct ReadHeader {
  uint32_t count;      // of the records
  uint32_t ended;      // 1: these records are the last
  int32_t result;      // when ended: 0 or -errno
  uint32_t unclaimed;  // paths that no thread has begun to read
};

struct ReadRecord {
  uint32_t index;   // of the path, in the order in which paths were added
  int32_t status;   // bytes, or -errno
  uint32_t offset;  // of the bytes in the pack; kTooLarge: the low half of the size
  FileCall call;
  uint32_t high;  // kTooLarge: the high half of the size
};

// ---- Files: fileSubmit, fileFacts

enum class FileKind : uint32_t { kRead, kWrite, kCopy, kMakeDirectories };

// `options` of a write; those of a copy are node:fs's COPYFILE_ constants.
inline constexpr uint32_t kFileSync = 1;    // fsync before the end
inline constexpr uint32_t kFileAtomic = 2;  // a temporary file in the same folder, fsync, rename, fsync of the folder

struct FileRequest {
  int32_t fd;     // instead of a path; it stays open
  int32_t flags;  // of open(2); O_CLOEXEC is added
  uint32_t mode;
  uint32_t options;
  uint32_t facts;   // JobOption
  uint32_t handle;  // the handle whose descriptor `fd` is; 0: none
};

struct FileFacts {
  FileCall call;
  uint32_t low, high;  // halves of FileTask::number
  uint32_t refused;    // 1: -EPERM comes from restrict() and not from the kernel
};

// ---- Programs: programMake, programSubmit

struct ProgramArea {
  uint32_t offset, length;
};

struct ProgramHeader {
  ProgramArea code;
  uint32_t entry, cleanup;  // offsets of atoms; cleanup 0: none
  uint32_t max_steps;
  uint32_t size;  // of the image and the room behind it
};

// One run. Patches, areas and payload follow the record, each aligned to kRecordAlign.
struct RunRecord {
  uint32_t slot;
  uint32_t facts;  // RunFact
  uint32_t bytes;  // of record, patches, areas and payload; a multiple of kRecordAlign
  int32_t status;  // out: 0 or -errno
  uint32_t patches, areas, payload;
  uint32_t padding;
};

struct RunFact {
  enum : uint32_t {
    kUnreferenced = 1,
    kSkip = 2,  // aborted before it was submitted: the record is skipped
  };
};

struct ProgramPatch {
  uint32_t offset;
  uint32_t is_offset;  // 1: the value is an offset and becomes an address
  uint64_t value;
};

// Records that follow each other in one buffer and have words of 8 bytes in them or behind them.
static_assert(sizeof(CallRecord) % kRecordAlign == 0 && sizeof(RunRecord) % kRecordAlign == 0);
static_assert(sizeof(ProgramPatch) % kRecordAlign == 0);
static_assert(sizeof(ProgramArea) % kRecordAlign == 0 && sizeof(StatResult) % 8 == 0);
// Records of 4-byte words: each begins at any multiple of four.
static_assert(alignof(DrainedResult) == 4 && alignof(WalkRun) == kRunsAlign && alignof(ReadHeader) == 4);
static_assert(alignof(ReadRecord) == 4 && alignof(FileRequest) == 4 && alignof(FileFacts) == 4);

}  // namespace acall

#endif  // ACALL_CORE_WIRE_H_
