/* libseccomp as an oracle: reads a filter in words, answers its program as the kernel would get it.
 *
 * In:  "default ACTION", then "rule ACTION NUMBER COUNT (INDEX OP A B)..." lines, then "end". Numbers are decimal; actions and
 * operators are libseccomp's own values. Out: the length in bytes as 32 bits, then the program; length 0 when it was refused. */
#include <errno.h>
#include <inttypes.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void answer(scmp_filter_ctx filter)
{
	int file = memfd_create("filter", 0);
	uint32_t length = 0;
	char *bytes = NULL;
	if (filter && seccomp_export_bpf(filter, file) == 0) {
		length = (uint32_t)lseek(file, 0, SEEK_END);
		bytes = malloc(length);
		if (pread(file, bytes, length, 0) != (ssize_t)length)
			exit(1);
	}
	fwrite(&length, sizeof length, 1, stdout);
	if (length)
		fwrite(bytes, length, 1, stdout);
	fflush(stdout);
	free(bytes);
	close(file);
}

int main(void)
{
	char line[4096];
	scmp_filter_ctx filter = NULL;
	int refused = 0;
	while (fgets(line, sizeof line, stdin)) {
		uint32_t action;
		int number, at;
		unsigned int count;
		if (sscanf(line, "default %" SCNu32, &action) == 1) {
			filter = seccomp_init(action);
			refused = !filter;
		} else if (sscanf(line, "rule %" SCNu32 " %d %u%n", &action, &number, &count, &at) == 3) {
			struct scmp_arg_cmp args[6];
			char *rest = line + at;
			for (unsigned int i = 0; i < count && i < 6; i++) {
				unsigned int index, op;
				int used;
				if (sscanf(rest, " %u %u %" SCNu64 " %" SCNu64 "%n", &index, &op, &args[i].datum_a, &args[i].datum_b, &used) != 4)
					exit(2);
				args[i].arg = index;
				args[i].op = op;
				rest += used;
			}
			int done = filter ? seccomp_rule_add_exact_array(filter, action, number, count, args) : 0;
			/* Covered by a rule before. */
			if (done != 0 && done != -EEXIST)
				refused = 1;
		} else if (strcmp(line, "end\n") == 0) {
			answer(refused ? NULL : filter);
			seccomp_release(filter);
			filter = NULL;
		}
	}
	return 0;
}
