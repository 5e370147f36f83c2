/* lock.exe FILE: holds a file as a program does that lets no other open it, until its
   standard input ends. Says "held" when it has it. */
#include <windows.h>
#include <stdio.h>

int main(int count, char **arguments)
{
    if (count != 2)
        return 2;
    HANDLE file = CreateFileA(arguments[1], GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE) {
        printf("error %lu\n", GetLastError());
        return 1;
    }
    puts("held");
    fflush(stdout);
    while (getchar() != EOF)
        ;
    CloseHandle(file);
    return 0;
}
