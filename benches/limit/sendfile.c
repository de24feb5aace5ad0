/* The least that a server of one file must do: read a head, write a head, sendfile(2). Usage: sendfile PORT FILE
 * `cargo xtask bench registry` divides by its speed. Linux only; a thread for each connection. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

static int file;
static off_t size;

static void *serve(void *argument) {
    int peer = (int)(long)argument;
    char request[4096], head[128];
    for (;;) {
        size_t have = 0;
        while (have < 4 || memcmp(request + have - 4, "\r\n\r\n", 4)) {
            ssize_t more = have < sizeof request ? read(peer, request + have, sizeof request - have) : 0;
            if (more <= 0) {
                close(peer);
                return NULL;
            }
            have += (size_t)more;
        }
        int length = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %ld\r\n\r\n", (long)size);
        off_t offset = 0;
        if (send(peer, head, (size_t)length, MSG_MORE | MSG_NOSIGNAL) != length) break;
        while (offset < size && sendfile(peer, file, &offset, (size_t)(size - offset)) > 0);
        if (offset < size) break;
    }
    close(peer);
    return NULL;
}

int main(int argc, char **argv) {
    struct stat found;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (argc != 3 || (file = open(argv[2], O_RDONLY)) < 0 || fstat(file, &found)) {
        fprintf(stderr, "usage: sendfile PORT FILE\n");
        return 2;
    }
    size = found.st_size;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 128)) {
        perror("listen");
        return 1;
    }
    for (;;) {
        int peer = accept(listener, NULL, NULL);
        pthread_t thread;
        setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (pthread_create(&thread, NULL, serve, (void *)(long)peer)) return 1;
        pthread_detach(thread);
    }
}
