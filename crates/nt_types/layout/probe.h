// What `cargo xtask layouts` compiles: each line of a family file that uses one of these macros becomes a constant named
// after its line, holding offset and size in bytes.
#include <ntifs.h>
#include <ntddk.h>

#define PASTE(a, b) a##b
#define AT_LINE(line, offset, size) const unsigned PASTE(layout_, line)[2] = {offset, size};

// A structure; its members follow.
#define STRUCT(type) AT_LINE(__LINE__, 0, sizeof(type))
// A structure that the Windows headers align more strictly than these.
#define ALIGNED(type, bytes) AT_LINE(__LINE__, 0, (sizeof(type) + bytes - 1) / bytes * bytes)
// A member, by its path in C.
#define FIELD(type, path) AT_LINE(__LINE__, __builtin_offsetof(type, path), sizeof(((type *)0)->path))
// A member that C cannot name (bit-fields) or that these headers name differently.
#define SPAN(type, name, offset, size) AT_LINE(__LINE__, offset, size)

// A title over the values that follow.
#define GROUP(title)
// A macro or enumerator.
#define VALUE(name) AT_LINE(__LINE__, 0, (unsigned)(name))
