/* wine 8 lacks this library of Windows, which Rust's std takes its random numbers from.
   It has the older function of advapi32, under the name that it is exported by. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length_bytes);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length_bytes)
{
    while (length_bytes > 0) {
        ULONG part_bytes = length_bytes > 65536 ? 65536 : (ULONG)length_bytes;
        if (!SystemFunction036(buffer, part_bytes))
            return FALSE;
        buffer += part_bytes;
        length_bytes -= part_bytes;
    }
    return TRUE;
}
