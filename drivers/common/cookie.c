// What code compiled with stack cookies calls. Microsoft's BufferOverflowK library links its own into each driver; the loader
// gives the cookie a value of the run, which it finds by the load configuration.
#include "driver.h"

ULONG_PTR __security_cookie = 0x2B992DDFA232;

// IMAGE_LOAD_CONFIG_DIRECTORY64 of winnt.h, up to its SecurityCookie.
const struct {
    ULONG Size;
    UCHAR Before[0x54];
    ULONG_PTR *SecurityCookie;
    ULONG_PTR After[2];
} _load_config_used = {.Size = sizeof(_load_config_used), .SecurityCookie = &__security_cookie};

VOID __security_check_cookie(ULONG_PTR Cookie)
{
    if (Cookie != __security_cookie) {
        KeBugCheckEx(0xF7 /* DRIVER_OVERRAN_STACK_BUFFER */, Cookie, __security_cookie, ~__security_cookie, 0);
    }
}
