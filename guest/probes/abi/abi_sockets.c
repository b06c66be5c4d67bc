/* SPDX-License-Identifier: MIT */
/*
 * probe: abi_sockets
 * needs: CONFIG_ARM64_MTE CONFIG_ARM64_TAGGED_ADDR_ABI CONFIG_TMPFS CONFIG_UNIX CONFIG_INET
 * timeout: 120
 *
 * The tagged address ABI for sockets: addresses, options, messages and what is in them. Each
 * call is tried with an untagged, a tagged, a matching and a mismatching pointer
 * (guest/include/abi.h).
 */
#include <arpa/inet.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "abi.h"

#define TEXT "sixteen letters!"
enum { LEN = sizeof(TEXT) - 1 };

struct pair {
	int a, b;
};

static struct pair make_pair(int type)
{
	int fds[2];

	MUST(socketpair(AF_UNIX, type, 0, fds) == 0, "socketpair");
	return (struct pair){ fds[0], fds[1] };
}

static bool arrives(int fd, const char *text)
{
	char got[64] = "";
	ssize_t len = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);

	return len == (ssize_t)strlen(text) && !memcmp(got, text, len);
}

static struct sockaddr_in loopback(void)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

/* A UDP socket at a port of its own. */
static int bound(struct sockaddr_in *at)
{
	socklen_t len = sizeof(*at);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	*at = loopback();
	MUST(fd >= 0 && bind(fd, (struct sockaddr *)at, len) == 0, "bind");
	MUST(getsockname(fd, (struct sockaddr *)at, &len) == 0, "getsockname");
	return fd;
}

/* A listening socket, and one that has connected to it. */
static int listener(void)
{
	struct sockaddr_in at = loopback();
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);

	MUST(bind(fd, (struct sockaddr *)&at, len) == 0 && listen(fd, 1) == 0, "listen");
	MUST(getsockname(fd, (struct sockaddr *)&at, &len) == 0, "getsockname");
	MUST(connect(client, (struct sockaddr *)&at, len) == 0, "connect");
	return fd;
}

/* --- addresses: net/socket.c move_addr_to_kernel(), move_addr_to_user() --- */

ABI(socketpair_fds, "net/socket.c __sys_socketpair()", 0)
{
	int *fds = abi_mem(2 * sizeof(*fds));

	CALL(sys(socketpair, AF_UNIX, SOCK_STREAM, 0, U(fds)), 0);
	EFFECT(write(fds[0], TEXT, LEN) == LEN && arrives(fds[1], TEXT));
}

ABI(bind_address, "net/socket.c __sys_bind()", 0)
{
	struct sockaddr_in *at = abi_mem(sizeof(*at)), now;
	socklen_t len = sizeof(now);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	*at = loopback();
	CALL(sys(bind, fd, U(at), sizeof(*at)), 0);
	EFFECT(getsockname(fd, (struct sockaddr *)&now, &len) == 0 && now.sin_port);
}

ABI(connect_address, "net/socket.c __sys_connect()", 0)
{
	struct sockaddr_in *at = abi_mem(sizeof(*at));
	int to = bound(at), fd = socket(AF_INET, SOCK_DGRAM, 0);

	CALL(sys(connect, fd, U(at), sizeof(*at)), 0);
	EFFECT(write(fd, TEXT, LEN) == LEN && arrives(to, TEXT));
}

ABI(accept_address, "net/socket.c do_accept(), upeer_sockaddr", 0)
{
	struct sockaddr_in *at = abi_mem(sizeof(*at));
	socklen_t len = sizeof(*at);

	OK(sys(accept4, listener(), U(at), &len, 0));
	EFFECT(at->sin_addr.s_addr == htonl(INADDR_LOOPBACK));
}

ABI(accept_length, "net/socket.c do_accept(), upeer_addrlen", 0)
{
	struct sockaddr_storage at = {};
	socklen_t *len = abi_mem(sizeof(*len));

	*len = sizeof(at);
	OK(sys(accept4, listener(), &at, U(len), 0));
	EFFECT(*len == sizeof(struct sockaddr_in));
}

ABI(getsockname_address, "net/socket.c __sys_getsockname()", 0)
{
	struct sockaddr_in *at = abi_mem(sizeof(*at)), want;
	socklen_t len = sizeof(*at);

	CALL(sys(getsockname, bound(&want), U(at), &len), 0);
	EFFECT(at->sin_port == want.sin_port);
}

ABI(getsockname_length, "net/socket.c __sys_getsockname()", 0)
{
	struct sockaddr_storage at;
	struct sockaddr_in want;
	socklen_t *len = abi_mem(sizeof(*len));

	*len = sizeof(at);
	CALL(sys(getsockname, bound(&want), &at, U(len)), 0);
	EFFECT(*len == sizeof(want));
}

ABI(getpeername_address, "net/socket.c __sys_getpeername()", 0)
{
	struct sockaddr_in *at = abi_mem(sizeof(*at)), to;
	socklen_t len = sizeof(*at);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	bound(&to);
	MUST(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0, "connect");
	CALL(sys(getpeername, fd, U(at), &len), 0);
	EFFECT(at->sin_port == to.sin_port);
}

ABI(getpeername_length, "net/socket.c __sys_getpeername()", 0)
{
	struct pair pair = make_pair(SOCK_STREAM);
	socklen_t *len = abi_mem(sizeof(*len));
	struct sockaddr_un at;

	*len = sizeof(at);
	CALL(sys(getpeername, pair.a, &at, U(len)), 0);
	EFFECT(*len == sizeof(at.sun_family));
}

/* --- sendto() and recvfrom() ---------------------------------------------- */

ABI(sendto_buffer, "net/socket.c __sys_sendto(), skb_copy_datagram_from_iter()", 0)
{
	struct pair pair = make_pair(SOCK_DGRAM);

	CALL(sys(sendto, pair.a, U(abi_string(TEXT)), LEN, 0, NULL, 0), LEN);
	EFFECT(arrives(pair.b, TEXT));
}

ABI(sendto_address, "net/socket.c __sys_sendto(), addr", 0)
{
	struct sockaddr_in *at = abi_mem(sizeof(*at));
	int to = bound(at), fd = socket(AF_INET, SOCK_DGRAM, 0);

	CALL(sys(sendto, fd, TEXT, LEN, 0, U(at), sizeof(*at)), LEN);
	EFFECT(arrives(to, TEXT));
}

/* The checksum is computed while the data are copied: csum_and_copy_from_user(). */
ABI(sendto_checksum, "net/ipv4/ip_output.c ip_generic_getfrag()", 0)
{
	struct sockaddr_in at;
	int to = bound(&at), fd = socket(AF_INET, SOCK_DGRAM, 0);

	CALL(sys(sendto, fd, U(abi_string(TEXT)), LEN, 0, &at, sizeof(at)), LEN);
	EFFECT(arrives(to, TEXT));
}

ABI(recvfrom_buffer, "net/socket.c __sys_recvfrom(), skb_copy_datagram_iter()", 0)
{
	struct pair pair = make_pair(SOCK_DGRAM);
	char *p = abi_mem(LEN);

	MUST(write(pair.a, TEXT, LEN) == LEN, "write");
	CALL(sys(recvfrom, pair.b, U(p), LEN, 0, NULL, NULL), LEN);
	EFFECT(!memcmp(p, TEXT, LEN));
}

ABI(recvfrom_address, "net/socket.c __sys_recvfrom(), addr", 0)
{
	struct sockaddr_in *from = abi_mem(sizeof(*from)), at, own;
	int to = bound(&at), fd = bound(&own);
	socklen_t len = sizeof(*from);
	char text[LEN];

	MUST(sendto(fd, TEXT, LEN, 0, (struct sockaddr *)&at, sizeof(at)) == LEN, "sendto");
	CALL(sys(recvfrom, to, text, LEN, 0, U(from), &len), LEN);
	EFFECT(from->sin_port == own.sin_port);
}

ABI(recvfrom_length, "net/socket.c __sys_recvfrom(), addr_len", 0)
{
	socklen_t *len = abi_mem(sizeof(*len));
	struct sockaddr_in at, own, from;
	int to = bound(&at), fd = bound(&own);
	char text[LEN];

	*len = sizeof(from);
	MUST(sendto(fd, TEXT, LEN, 0, (struct sockaddr *)&at, sizeof(at)) == LEN, "sendto");
	CALL(sys(recvfrom, to, text, LEN, 0, &from, U(len)), LEN);
	EFFECT(*len == sizeof(from));
}

/* TCP copies into the pages of its queue: tcp_sendmsg_locked(). */
ABI(tcp_send, "net/ipv4/tcp.c tcp_sendmsg_locked()", 0)
{
	int server = listener(), fd = accept(server, NULL, NULL);

	CALL(sys(sendto, fd, U(abi_string(TEXT)), LEN, 0, NULL, 0), LEN);
	EFFECT(ioctl(fd, 0x5411 /* SIOCOUTQ */, &server) == 0);
}

/* The sender's pages are pinned: msg_zerocopy_iter() of net/core/skbuff.c. */
ABI(tcp_zerocopy_send, "net/core/datagram.c zerocopy_fill_skb_from_iter()", ABI_UNCHECKED)
{
	int server = listener(), fd = accept(server, NULL, NULL), on = 1;
	char *p = abi_pages(1);

	MUST(setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)) == 0, "SO_ZEROCOPY");
	CALL(sys(sendto, fd, U(p), PAGE, MSG_ZEROCOPY, NULL, 0), PAGE);
	EFFECT(ioctl(fd, 0x5411 /* SIOCOUTQ */, &server) == 0);
}

/* --- options -------------------------------------------------------------- */

ABI(setsockopt_value, "net/core/sock.c sk_setsockopt(), copy_from_sockptr()", 0)
{
	struct pair pair = make_pair(SOCK_STREAM);
	int *on = abi_mem(sizeof(*on)), now = 0;
	socklen_t len = sizeof(now);

	*on = 1;
	CALL(sys(setsockopt, pair.a, SOL_SOCKET, SO_KEEPALIVE, U(on), sizeof(*on)), 0);
	EFFECT(getsockopt(pair.a, SOL_SOCKET, SO_KEEPALIVE, &now, &len) == 0 && now == 1);
}

ABI(getsockopt_value, "net/core/sock.c sk_getsockopt(), copy_to_sockptr()", 0)
{
	struct pair pair = make_pair(SOCK_SEQPACKET);
	int *type = abi_mem(sizeof(*type));
	socklen_t len = sizeof(*type);

	CALL(sys(getsockopt, pair.a, SOL_SOCKET, SO_TYPE, U(type), &len), 0);
	EFFECT(*type == SOCK_SEQPACKET);
}

ABI(getsockopt_length, "net/core/sock.c sk_getsockopt(), optlen", 0)
{
	struct pair pair = make_pair(SOCK_SEQPACKET);
	socklen_t *len = abi_mem(sizeof(*len));
	char type[8];

	*len = sizeof(type);
	CALL(sys(getsockopt, pair.a, SOL_SOCKET, SO_TYPE, type, U(len)), 0);
	EFFECT(*len == sizeof(int));
}

ABI(filter_program, "net/core/filter.c copy_bpf_fprog_from_user()", 0)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog *program = abi_mem(sizeof(*program));
	struct pair pair = make_pair(SOCK_DGRAM);

	*program = (struct sock_fprog){ 1, &drop };
	CALL(sys(setsockopt, pair.b, SOL_SOCKET, SO_ATTACH_FILTER, U(program), sizeof(*program)),
	     0);
	EFFECT(write(pair.a, TEXT, LEN) < 0 || !arrives(pair.b, TEXT));
}

ABI(filter_instructions, "net/core/filter.c bpf_prog_create_from_user()", 0)
{
	struct sock_filter *drop = abi_mem(sizeof(*drop));
	struct sock_fprog program = { 1, U(drop) };
	struct pair pair = make_pair(SOCK_DGRAM);

	*drop = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	CALL(sys(setsockopt, pair.b, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
	EFFECT(write(pair.a, TEXT, LEN) < 0 || !arrives(pair.b, TEXT));
}

ABI(tcp_option, "net/ipv4/tcp.c do_tcp_setsockopt()", 0)
{
	int *on = abi_mem(sizeof(*on)), now = 0, fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(now);

	*on = 1;
	CALL(sys(setsockopt, fd, IPPROTO_TCP, TCP_NODELAY, U(on), sizeof(*on)), 0);
	EFFECT(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &now, &len) == 0 && now == 1);
}

ABI(tcp_congestion, "net/ipv4/tcp.c do_tcp_setsockopt(), strncpy_from_sockptr()", 0)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char now[16] = "", *p = abi_mem(16);
	socklen_t len = sizeof(now);

	MUST(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, now, &len) == 0, "TCP_CONGESTION");
	strcpy(p, now);
	CALL(sys(setsockopt, fd, IPPROTO_TCP, TCP_CONGESTION, U(p), 15), 0);
	EFFECT(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, now, &len) == 0 && !strcmp(now, p));
}

/* --- messages: net/socket.c ----------------------------------------------- */

ABI(sendmsg_header, "net/socket.c __copy_msghdr()", 0)
{
	struct iovec v = { TEXT, LEN };
	struct msghdr *m = abi_mem(sizeof(*m));
	struct pair pair = make_pair(SOCK_DGRAM);

	*m = (struct msghdr){ .msg_iov = &v, .msg_iovlen = 1 };
	CALL(sys(sendmsg, pair.a, U(m), 0), LEN);
	EFFECT(arrives(pair.b, TEXT));
}

ABI(sendmsg_name, "net/socket.c __copy_msghdr(), msg_name", 0)
{
	struct sockaddr_in *at = abi_mem(sizeof(*at));
	struct iovec v = { TEXT, LEN };
	struct msghdr m = { U(at), sizeof(*at), &v, 1, NULL, 0, 0 };
	int to = bound(at), fd = socket(AF_INET, SOCK_DGRAM, 0);

	CALL(sys(sendmsg, fd, &m, 0), LEN);
	EFFECT(arrives(to, TEXT));
}

ABI(sendmsg_vector, "net/socket.c copy_msghdr_from_user(), msg_iov", 0)
{
	struct iovec *v = abi_mem(sizeof(*v));
	struct msghdr m = { .msg_iov = U(v), .msg_iovlen = 1 };
	struct pair pair = make_pair(SOCK_DGRAM);

	*v = (struct iovec){ TEXT, LEN };
	CALL(sys(sendmsg, pair.a, &m, 0), LEN);
	EFFECT(arrives(pair.b, TEXT));
}

ABI(sendmsg_base, "net/unix/af_unix.c unix_dgram_sendmsg()", 0)
{
	struct iovec v = { U(abi_string(TEXT)), LEN };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	struct pair pair = make_pair(SOCK_DGRAM);

	CALL(sys(sendmsg, pair.a, &m, 0), LEN);
	EFFECT(arrives(pair.b, TEXT));
}

/* A control message that sends a file descriptor. */
static void send_descriptor(struct cmsghdr *control, int fd)
{
	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = SCM_RIGHTS;
	control->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(control), &fd, sizeof(fd));
}

/* What the descriptor in a control message reads, which is TEXT of file_with(). */
static bool descriptor_reads(struct cmsghdr *control)
{
	char text[LEN] = "";
	int fd;

	if (control->cmsg_len != CMSG_LEN(sizeof(int)))
		return false;
	memcpy(&fd, CMSG_DATA(control), sizeof(fd));
	return pread(fd, text, LEN, 0) == LEN && !memcmp(text, TEXT, LEN);
}

ABI(sendmsg_control, "net/socket.c ____sys_sendmsg(), msg_control", 0)
{
	struct cmsghdr *control = abi_mem(CMSG_SPACE(sizeof(int)));
	struct cmsghdr *got = abi_plain(CMSG_SPACE(sizeof(int)));
	struct iovec v = { TEXT, LEN };
	struct msghdr m = { NULL, 0, &v, 1, U(control), CMSG_SPACE(sizeof(int)), 0 };
	struct pair pair = make_pair(SOCK_DGRAM);

	send_descriptor(control, file_with(TEXT));
	CALL(sys(sendmsg, pair.a, &m, 0), LEN);
	v.iov_base = abi_plain(LEN);
	m.msg_control = got;
	EFFECT(recvmsg(pair.b, &m, 0) == LEN && descriptor_reads(got));
}

ABI(recvmsg_header, "net/socket.c ____sys_recvmsg(), msg_flags", 0)
{
	char text[4];
	struct iovec v = { text, 4 };
	struct msghdr *m = abi_mem(sizeof(*m));
	struct pair pair = make_pair(SOCK_DGRAM);

	*m = (struct msghdr){ .msg_iov = &v, .msg_iovlen = 1 };
	MUST(write(pair.a, TEXT, LEN) == LEN, "write");
	CALL(sys(recvmsg, pair.b, U(m), 0), 4);
	EFFECT(m->msg_flags & MSG_TRUNC && !memcmp(text, TEXT, 4));
}

ABI(recvmsg_name, "net/socket.c ____sys_recvmsg(), move_addr_to_user()", 0)
{
	struct sockaddr_in *from = abi_mem(sizeof(*from)), at, own;
	char text[LEN];
	struct iovec v = { text, LEN };
	struct msghdr m = { U(from), sizeof(*from), &v, 1, NULL, 0, 0 };
	int to = bound(&at), fd = bound(&own);

	MUST(sendto(fd, TEXT, LEN, 0, (struct sockaddr *)&at, sizeof(at)) == LEN, "sendto");
	CALL(sys(recvmsg, to, &m, 0), LEN);
	EFFECT(from->sin_port == own.sin_port);
}

ABI(recvmsg_vector, "net/socket.c recvmsg_copy_msghdr(), msg_iov", 0)
{
	char text[LEN];
	struct iovec *v = abi_mem(sizeof(*v));
	struct msghdr m = { .msg_iov = U(v), .msg_iovlen = 1 };
	struct pair pair = make_pair(SOCK_DGRAM);

	*v = (struct iovec){ text, LEN };
	MUST(write(pair.a, TEXT, LEN) == LEN, "write");
	CALL(sys(recvmsg, pair.b, &m, 0), LEN);
	EFFECT(!memcmp(text, TEXT, LEN));
}

ABI(recvmsg_base, "net/unix/af_unix.c __unix_dgram_recvmsg()", 0)
{
	char *p = abi_mem(LEN);
	struct iovec v = { U(p), LEN };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	struct pair pair = make_pair(SOCK_DGRAM);

	MUST(write(pair.a, TEXT, LEN) == LEN, "write");
	CALL(sys(recvmsg, pair.b, &m, 0), LEN);
	EFFECT(!memcmp(p, TEXT, LEN));
}

/*
 * put_cmsg() and scm_detach_fds() (net/core/scm.c) say nothing of a control buffer that cannot
 * be written: the message arrives, and the control message is lost.
 */
ABI(recvmsg_control, "net/core/scm.c scm_detach_fds()", ABI_NO_MISMATCH)
{
	struct cmsghdr *sent = abi_plain(CMSG_SPACE(sizeof(int)));
	struct cmsghdr *got = abi_mem(CMSG_SPACE(sizeof(int)));
	struct iovec v = { strdup(TEXT), LEN };
	struct msghdr m = { NULL, 0, &v, 1, sent, CMSG_SPACE(sizeof(int)), 0 };
	struct pair pair = make_pair(SOCK_DGRAM);

	send_descriptor(sent, file_with(TEXT));
	MUST(sendmsg(pair.a, &m, 0) == LEN, "sendmsg");
	m.msg_control = U(got);
	CALL(sys(recvmsg, pair.b, &m, 0), LEN);
	EFFECT(descriptor_reads(got));
}

ABI(sendmmsg_messages, "net/socket.c __sys_sendmmsg()", 0)
{
	struct iovec v = { TEXT, LEN };
	struct mmsghdr *m = abi_mem(2 * sizeof(*m));
	struct pair pair = make_pair(SOCK_DGRAM);

	m[0].msg_hdr = m[1].msg_hdr = (struct msghdr){ .msg_iov = &v, .msg_iovlen = 1 };
	CALL(sys(sendmmsg, pair.a, U(m), 2, 0), 2);
	EFFECT(m[0].msg_len == LEN && m[1].msg_len == LEN);
	EFFECT(arrives(pair.b, TEXT) && arrives(pair.b, TEXT));
}

ABI(recvmmsg_messages, "net/socket.c do_recvmmsg()", 0)
{
	char text[2][LEN];
	struct iovec v[2] = { { text[0], LEN }, { text[1], LEN } };
	struct mmsghdr *m = abi_mem(2 * sizeof(*m));
	struct pair pair = make_pair(SOCK_DGRAM);

	m[0].msg_hdr = (struct msghdr){ .msg_iov = &v[0], .msg_iovlen = 1 };
	m[1].msg_hdr = (struct msghdr){ .msg_iov = &v[1], .msg_iovlen = 1 };
	MUST(write(pair.a, TEXT, LEN) == LEN && write(pair.a, TEXT, LEN) == LEN, "write");
	CALL(sys(recvmmsg, pair.b, U(m), 2, 0, NULL), 2);
	EFFECT(m[1].msg_len == LEN && !memcmp(text[1], TEXT, LEN));
}

ABI(recvmmsg_timeout, "net/socket.c __sys_recvmmsg()", 0)
{
	char text[LEN];
	struct iovec v = { text, LEN };
	struct mmsghdr m = { .msg_hdr = { .msg_iov = &v, .msg_iovlen = 1 } };
	struct timespec *left = abi_mem(sizeof(*left));
	struct pair pair = make_pair(SOCK_DGRAM);

	left->tv_sec = 1000;
	MUST(write(pair.a, TEXT, LEN) == LEN, "write");
	CALL(sys(recvmmsg, pair.b, &m, 1, 0, U(left)), 1);
	EFFECT(left->tv_sec < 1000);
}

/* --- ioctls on sockets ---------------------------------------------------- */

ABI(ioctl_queue, "net/unix/af_unix.c unix_ioctl(), SIOCINQ", 0)
{
	struct pair pair = make_pair(SOCK_STREAM);
	int *bytes = abi_mem(sizeof(*bytes));

	MUST(write(pair.a, TEXT, LEN) == LEN, "write");
	CALL(sys(ioctl, pair.b, 0x541B /* FIONREAD */, U(bytes)), 0);
	EFFECT(*bytes == LEN);
}

ABI(ioctl_interface, "net/socket.c get_user_ifreq(), put_user_ifreq()", 0)
{
	struct ifreq *request = abi_mem(sizeof(*request));
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	strcpy(request->ifr_name, "lo");
	CALL(sys(ioctl, fd, 0x8913 /* SIOCGIFFLAGS */, U(request)), 0);
	EFFECT(request->ifr_flags & IFF_LOOPBACK);
}

ABI(ioctl_interfaces, "net/core/dev_ioctl.c dev_ifconf()", 0)
{
	struct ifreq *list = abi_mem(8 * sizeof(*list));
	struct ifconf conf = { .ifc_len = 8 * sizeof(*list), .ifc_req = U(list) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	CALL(sys(ioctl, fd, 0x8912 /* SIOCGIFCONF */, &conf), 0);
	EFFECT(conf.ifc_len && (!strcmp(list[0].ifr_name, "lo") || list[0].ifr_name[0] == 'e'));
}

PROBE(CASE(socketpair_fds), CASE(bind_address), CASE(connect_address), CASE(accept_address),
      CASE(accept_length), CASE(getsockname_address), CASE(getsockname_length),
      CASE(getpeername_address), CASE(getpeername_length), CASE(sendto_buffer),
      CASE(sendto_address), CASE(sendto_checksum), CASE(recvfrom_buffer), CASE(recvfrom_address),
      CASE(recvfrom_length), CASE(tcp_send), CASE(tcp_zerocopy_send), CASE(setsockopt_value),
      CASE(getsockopt_value), CASE(getsockopt_length), CASE(filter_program),
      CASE(filter_instructions), CASE(tcp_option), CASE(tcp_congestion), CASE(sendmsg_header),
      CASE(sendmsg_name), CASE(sendmsg_vector), CASE(sendmsg_base), CASE(sendmsg_control),
      CASE(recvmsg_header), CASE(recvmsg_name), CASE(recvmsg_vector), CASE(recvmsg_base),
      CASE(recvmsg_control), CASE(sendmmsg_messages), CASE(recvmmsg_messages),
      CASE(recvmmsg_timeout), CASE(ioctl_queue), CASE(ioctl_interface), CASE(ioctl_interfaces));
