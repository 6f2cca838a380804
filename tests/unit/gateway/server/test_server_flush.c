/* When what clients shall have is written: the server runs in this process, one turn of the loop at a time.
 */
#include "gateway/server/server_internal.h"
#include "gateway/server/ws.h"
#include "rig.h"
#include "tests/unit/common/run.h"

enum { FRAME = 2 + 4 + 5, REPLY = 2 + 5 };

static struct rig rig;
static struct room room;

static int connect_to(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

/* What is there to be read now. */
static size_t there(int fd, char *room_for, size_t size)
{
    ssize_t n = recv(fd, room_for, size, MSG_DONTWAIT);
    return n > 0 ? (size_t)n : 0;
}

static int open_echo(void)
{
    static const char request[] =
        "GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    char answer[1024];
    int fd = connect_to(rig.port[PLAIN]);
    size_t len = 0;
    ck_assert_int_eq(send(fd, request, sizeof(request) - 1, 0), sizeof(request) - 1);
    while (len < 4 || memcmp(answer + len - 4, "\r\n\r\n", 4) != 0) {
        uv_run(&room.loop.uv, UV_RUN_NOWAIT);
        len += there(fd, answer + len, sizeof(answer) - len);
    }
    ck_assert_int_eq(strncmp(answer, "HTTP/1.1 101 ", 13), 0);
    return fd;
}

static void say_hello(int fd)
{
    static const char frame[FRAME] = "\x81\x85\0\0\0\0hello";
    ck_assert_int_eq(send(fd, frame, FRAME, 0), FRAME);
}

/* `n` clients speak, the loop turns once, and the crowd is looked at; answers how many of them hear. */
static unsigned heard_within_the_turn(const int *clients, unsigned n)
{
    char reply[64];
    unsigned heard = 0;
    for (unsigned i = 0; i < n; i++)
        say_hello(clients[i]);
    uv_run(&room.loop.uv, UV_RUN_NOWAIT);
    for (unsigned i = 0; i < n; i++)
        ck_assert_uint_eq(there(clients[i], reply, sizeof(reply)), 0);
    server_flush_crowd(room.server);
    for (unsigned i = 0; i < n; i++)
        heard += there(clients[i], reply, sizeof(reply)) == REPLY;
    return heard;
}

START_TEST(a_crowd_is_written_to_within_the_turn)
{
    int clients[FLUSH_CROWD], fds[TRANSPORTS];
    char reply[64];
    struct config *cfg = rig_config(&rig, "", fds);
    ck_assert(room_open(&room, cfg, fds));
    for (unsigned i = 0; i < FLUSH_CROWD; i++)
        clients[i] = open_echo();
    uv_run(&room.loop.uv, UV_RUN_NOWAIT);

    ck_assert_uint_eq(heard_within_the_turn(clients, FLUSH_CROWD), FLUSH_CROWD);
    /* Fewer wait for the turn's end, which is the beginning of the next. */
    uv_run(&room.loop.uv, UV_RUN_NOWAIT);
    ck_assert_uint_eq(heard_within_the_turn(clients, FLUSH_CROWD - 1), 0);
    uv_run(&room.loop.uv, UV_RUN_NOWAIT);
    for (unsigned i = 0; i < FLUSH_CROWD - 1; i++)
        ck_assert_uint_eq(there(clients[i], reply, sizeof(reply)), REPLY);

    for (unsigned i = 0; i < FLUSH_CROWD; i++)
        close(clients[i]);
    room_stop(&room);
    ck_assert_int_eq(room_end(&room), 0);
    config_free(cfg);
    rig_clear(&rig);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("server_flush");
    tcase_add_test(tc, a_crowd_is_written_to_within_the_turn);
    return run_case(tc);
}
