// One read(2) over and over, then waiting in it for a signal that makes it start again, alone and beside a thread that reads on.
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

static int ends[2], zero, asked;

static void ring(int signal) {
    (void)signal;
    asked += write(ends[1], "x", 1);
}

static void *reads(void *times) {
    static __thread char buffer[16];
    long sum = 0;
    for (long i = 0; i < (long)times; i++)
        sum += read(zero, buffer, i % sizeof buffer);
    return (void *)sum;
}

static int restarted(void) {
    char byte = 0;
    int sum = 0;
    for (int i = 0; i < 20; i++) {
        setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0, 1000}}, NULL);
        sum += read(ends[0], &byte, 1) == 1 && byte == 'x';
        byte = 0;
    }
    return sum;
}

int main(void) {
    struct sigaction action = {.sa_handler = ring, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    zero = open("/dev/zero", O_RDONLY);
    if (zero < 0 || pipe(ends) != 0)
        return 1;
    printf("%ld ", (long)reads((void *)3000));
    printf("%d ", restarted());
    printf("%ld\n", (long)reads((void *)3000));

    pthread_t other;
    void *sum;
    pthread_create(&other, NULL, reads, (void *)3000);
    long mine = (long)reads((void *)3000);
    pthread_join(other, &sum);
    printf("%ld %ld ", mine, (long)sum);
    pthread_create(&other, NULL, reads, (void *)3000);
    printf("%d ", restarted());
    pthread_join(other, &sum);
    printf("%ld\n", (long)sum);
    printf("%d\n", asked);
    return 0;
}
