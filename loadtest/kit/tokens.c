#include "loadtest/kit/tokens.h"

enum state { AT_START, IN_NUMBER, AFTER_NUMBER, IN_STAMP, IN_PADDING, IN_GARBAGE };

void token_check_init(struct token_check *c)
{
    memset(c, 0, sizeof(*c));
    c->state_ = AT_START;
}

static uint64_t window_push(uint64_t window, uint32_t n)
{
    return n >= 64 ? 1 : (window << n) | 1;
}

static void number_seen(struct token_check *c, uint32_t n)
{
    if (n >= c->next) {
        c->lost += n - c->next;
        c->window_ = window_push(c->window_, n - c->next + 1);
        c->next = n + 1;
        return;
    }
    uint32_t back = c->next - 1 - n;
    uint64_t bit = back < 64 ? UINT64_C(1) << back : 0;
    if (bit && !(c->window_ & bit)) {
        c->window_ |= bit; /* it was counted as lost when a higher one came */
        c->lost--;
        c->reordered++;
    } else {
        c->doubled++;
    }
}

static unsigned token_done(struct token_check *c)
{
    if (c->stamp_)
        c->stamp_us = c->stamp_;
    number_seen(c, c->number_);
    c->state_ = AT_START;
    return 1;
}

static void token_bad(struct token_check *c, char byte)
{
    c->malformed++;
    c->state_ = byte == ' ' ? AT_START : IN_GARBAGE;
}

static void step_start(struct token_check *c, char b)
{
    if (b != 't') {
        token_bad(c, b);
        return;
    }
    c->number_ = 0;
    c->stamp_ = 0;
    c->digits_ = 0;
    c->state_ = IN_NUMBER;
}

static void step_digit(struct token_check *c, char b)
{
    if (b < '0' || b > '9') {
        token_bad(c, b);
        return;
    }
    unsigned digit = (unsigned)(b - '0');
    c->digits_++;
    if (c->state_ == IN_NUMBER) {
        c->number_ = c->number_ * 10 + digit;
        if (c->digits_ == TOKEN_DIGITS)
            c->state_ = AFTER_NUMBER;
    } else {
        c->stamp_ = c->stamp_ * 10 + digit;
        if (c->digits_ == TOKEN_STAMP_DIGITS)
            c->state_ = IN_PADDING;
    }
}

static unsigned step(struct token_check *c, char b)
{
    switch ((enum state)c->state_) {
    case AT_START:
        step_start(c, b);
        return 0;
    case IN_NUMBER:
    case IN_STAMP:
        step_digit(c, b);
        return 0;
    case AFTER_NUMBER:
        if (b == '@') {
            c->digits_ = 0;
            c->state_ = IN_STAMP;
            return 0;
        }
        /* fall through */
    case IN_PADDING:
        if (b == ' ')
            return token_done(c);
        if (b == 'x')
            c->state_ = IN_PADDING;
        else
            token_bad(c, b);
        return 0;
    case IN_GARBAGE:
        if (b == ' ')
            c->state_ = AT_START;
        return 0;
    }
    return 0;
}

unsigned token_check_feed(struct token_check *c, struct bytes text)
{
    unsigned tokens = 0;
    for (size_t i = 0; i < text.len; i++)
        tokens += step(c, text.data[i]);
    return tokens;
}

void token_check_end(struct token_check *c, uint32_t expected)
{
    if (c->state_ != AT_START && c->state_ != IN_GARBAGE)
        c->malformed++;
    c->state_ = AT_START;
    if (c->next < expected)
        c->lost += expected - c->next;
    else
        c->extra += c->next - expected;
}

bool token_check_ok(const struct token_check *c)
{
    return !(c->lost | c->doubled | c->reordered | c->malformed | c->extra);
}

static void write_digits(char *ret, unsigned n, uint64_t v)
{
    while (n--) {
        ret[n] = (char)('0' + v % 10);
        v /= 10;
    }
}

void token_write(char *ret, size_t size, uint32_t number, bool stamped)
{
    size_t head = 1 + TOKEN_DIGITS;
    ret[0] = 't';
    write_digits(ret + 1, TOKEN_DIGITS, number);
    if (stamped) {
        ret[head] = '@';
        token_write_stamp(ret + head + 1, 0);
        head += 1 + TOKEN_STAMP_DIGITS;
        size += 1 + TOKEN_STAMP_DIGITS;
    }
    memset(ret + head, 'x', size - head - 1);
    ret[size - 1] = ' ';
}

void token_write_stamp(char *ret, uint64_t us)
{
    write_digits(ret, TOKEN_STAMP_DIGITS, us);
}
