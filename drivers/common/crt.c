// The compiler may call these for any structure that is copied or cleared. Microsoft's libraries link them into each
// driver; so do we. They are resident like all of .text, so resident code may copy and clear at any IRQL.
#include <stddef.h>

void *memcpy(void *To, const void *From, size_t Bytes)
{
    void *to = To;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(From), "+c"(Bytes) : : "memory");
    return To;
}

void *memset(void *To, int Value, size_t Bytes)
{
    void *to = To;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(Bytes) : "a"(Value) : "memory");
    return To;
}
