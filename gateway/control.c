#include "gateway/control.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum err control_open(int ret[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ret) == 0 ? ERR_OK : ERR_IO;
}

struct head {
    uint32_t verb, slot;
};

union fds_room {
    struct cmsghdr head; /* for its alignment */
    char bytes[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))];
};

enum err control_send(int fd, const struct control_message *m)
{
    struct head head = {(uint32_t)m->verb, m->slot};
    struct iovec iov[2] = {{&head, sizeof(head)}, {(void *)(uintptr_t)m->data, m->len}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
    union fds_room room;
    memset(&room, 0, sizeof(room));
    if (m->n_fds > 0) {
        msg.msg_control = room.bytes;
        msg.msg_controllen = CMSG_SPACE(m->n_fds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(m->n_fds * sizeof(int));
        memcpy(CMSG_DATA(c), m->fds, m->n_fds * sizeof(int));
    }
    return sendmsg(fd, &msg, MSG_NOSIGNAL) == (ssize_t)(sizeof(head) + m->len) ? ERR_OK : ERR_IO;
}

enum err control_receive(int fd, struct control_message *ret)
{
    struct head head;
    struct iovec iov[2] = {{&head, sizeof(head)}, {ret->data, sizeof(ret->data)}};
    union fds_room room;
    struct msghdr msg = {
        .msg_iov = iov, .msg_iovlen = 2, .msg_control = room.bytes, .msg_controllen = sizeof(room.bytes)};
    const ssize_t n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? ERR_AGAIN : ERR_CLOSED;
    if (n == 0)
        return ERR_CLOSED;
    ret->n_fds = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        ret->n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(ret->fds, CMSG_DATA(c), ret->n_fds * sizeof(int));
    }
    if (n < (ssize_t)sizeof(head))
        return ERR_INVALID;
    ret->len = (size_t)n - sizeof(head);
    ret->verb = (enum control_verb)head.verb;
    ret->slot = head.slot;
    return ERR_OK;
}
