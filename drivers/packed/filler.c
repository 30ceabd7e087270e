// Linked before and behind the other objects of an image whose sections are packed at 128 bytes. What a section has in it
// then lies on pages of the section's own, as it does where sections are aligned to pages, and not on one that it shares
// with its neighbours (R43).
//
//   SECTION  its name
//   FLAGS    of the section, as assemblers write them
#define WORDS_OF(word) #word
#define TEXT_OF(word) WORDS_OF(word)

__asm__(".section " TEXT_OF(SECTION) ",\"" TEXT_OF(FLAGS) "\"\n.fill 4096, 1, 0xCC\n");
