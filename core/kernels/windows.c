// A frame of more than a page makes clang call this on Windows, before the frame is taken: the stack grows there only
// page by page. %rax holds the frame's size; no register may change. Elsewhere nothing asks for it.
#if defined(_WIN32) && defined(__x86_64__)
__asm__(
    ".globl ___chkstk_ms\n"
    "___chkstk_ms:\n"
    "  push %rcx\n"
    "  push %rax\n"
    "  lea 24(%rsp), %rcx\n"
    "1: cmp $0x1000, %rax\n"
    "  jb 2f\n"
    "  sub $0x1000, %rcx\n"
    "  orl $0, (%rcx)\n"
    "  sub $0x1000, %rax\n"
    "  jmp 1b\n"
    "2: sub %rax, %rcx\n"
    "  orl $0, (%rcx)\n"
    "  pop %rax\n"
    "  pop %rcx\n"
    "  ret\n");
#endif
