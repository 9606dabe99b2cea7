# Pipelines, subshells, jobs, perl's own forks, a trap.
seq 1 1000 | grep 7 | sort -r | awk '{s += $1} END {print s, NR}' | (read -r a b; echo "$b $a")
true &
wait $!
perl -e 'my $p = open(my $f, "-|") // die; if (!$p) { print "kid\n"; exit 3 } my $l = <$f>; close $f; print $l, $? >> 8, "\n";
    my @k; for (1 .. 3) { my $k = fork; exit $_ unless $k; push @k, $k } waitpid($_, 0) for @k; print "done\n"'
trap 'echo term; exit 5' TERM
kill $$
