// Tokens laid out for products: rounded, in units of 256 tokens, octets of terms after octets, each as (tokens, octet).
// A token's octet is 16 bytes; two octets of a unit, which one product sums over, lie in one piece.
#pragma once
#include "device.cuh"

#define UNIT_TOKENS 256
// Bytes of an octet of a unit's tokens.
#define UNIT_OCTET (UNIT_TOKENS * 16)

// A token's octet that holds a term, of so many terms filled up to whole pairs of octets.
DEVICE u8* octet_at(const void* units, u64 token, u32 term, u32 terms) {
    const u64 octets = (terms + 15) / 16 * 2;
    return (u8*)units + (token / UNIT_TOKENS * octets + term / 8) * UNIT_OCTET + token % UNIT_TOKENS * 16;
}

// Where a term of a token lies.
DEVICE u8* term_at(const void* units, u64 token, u32 term, u32 terms) {
    return octet_at(units, token, term, terms) + term % 8 * 2;
}
