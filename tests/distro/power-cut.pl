#!/usr/bin/perl
# power-cut.pl TRACE BEFORE FILE...: whether each of our small files is old or new, never half, wherever the power is cut.
# TRACE is what `strace -xx -s 9999999` saw of a run, FILE the files of that run, BEFORE our state directory as it was before it.
# After every traced call three disks are imagined: one that has written everything, one that has written every name but of the data only what
# was synced, and one that has written neither names nor data before they were synced. On each of them each FILE must be whole: as it was
# before, or as it was when it got its name. That it is absent is only as it was before until it was there, or for good after the run has
# removed it: one that is removed to be written anew is lost meanwhile, unless it was there neither before nor in the end, as what only the
# run itself needs. In the end all three must agree: a run that has ended is not forgotten.
# Prints how many moments were tried, how many were good, and each bad one.
use strict;
use warnings;

my ($trace, $before, @files) = @ARGV;
my (%open, %named, %kept, %versions);    # descriptor => file or directory, names as they are, names as they were last synced
my (%was_there, %removed);               # disk => file => whether it was ever there, file => whether the run itself has removed it since
my (%missed, %anew);                     # file => the moments without it: since it was last there, and those before it was written anew
for my $file (@files) {
    (my $name = $file) =~ s{^/var/lib/teleport-upgrade/}{};
    open my $old, '<:raw', "$before/$name" or next;
    my $data = do { local $/; <$old> };
    $named{$file} = { data => $data, synced => $data };
    $versions{$file}{$data} = 1;
}
%kept = %named;
my %before = %named;

# What was missing until now was no removal for good.
sub appears {
    my $file = shift;
    push @{ $anew{$file} }, @{ delete $missed{$file} // [] };
    delete $removed{$file};
}
sub bytes { my $text = shift; $text =~ s/\\x(..)/chr hex $1/ge; return $text }
my $string = qr/"((?:\\x[0-9a-f]{2})*)"/;
my ($tried, $good) = (0, 0);

sub look {
    my $line = bytes(shift);
    chomp $line;
    $line = substr $line, 0, 120;
    for my $file (@files) {
        for my $disk (['that wrote everything', \%named, 'data'], ['that wrote names first', \%named, 'synced'], ['that wrote what was synced', \%kept, 'synced']) {
            my ($which, $names, $part) = @$disk;
            my $there = $names->{$file};
            $tried++;
            $was_there{$which}{$file} ||= $there || $before{$file};
            if (!$there && $was_there{$which}{$file}) { push @{ $missed{$file} }, "after $line: on a disk $which $file is gone\n" }
            elsif (!$there || $versions{$file}{ $there->{$part} }) { $good++ }
            else { printf "after %s: on a disk %s %s has %d bytes\n", $line, $which, $file, length $there->{$part} }
        }
    }
}

open my $lines, '<', $trace or die "$trace: $!\n";
while (my $line = <$lines>) {
    next unless $line =~ /^(\w+)\((.*)\)\s+= (-?\d+)/ && $3 >= 0;
    my ($call, $words, $result) = ($1, $2, $3);
    my @paths = map { bytes($_) } $words =~ /$string/g;
    my ($fd) = $words =~ /^(\d+)/;
    if ($call =~ /^open/) {
        my $path = $paths[0];
        my $file = $named{$path};
        if ($words =~ /O_CREAT/ && !$file) { appears($path); $file = $named{$path} = { data => '', synced => '' } }
        $file->{data} = '' if $file && $words =~ /O_TRUNC/;
        $open{$result} = $file // $path;
        next unless $file;
    } elsif ($call eq 'close') {
        delete $open{$fd};
        next;
    } elsif ($call eq 'write' && ref $open{$fd}) {
        $open{$fd}{data} .= substr $paths[0], 0, $result;
    } elsif ($call =~ /^f(data)?sync$/ && ref $open{$fd}) {
        $open{$fd}{synced} = $open{$fd}{data};
    } elsif ($call =~ /^fsync$/ && defined $open{$fd}) {
        my $directory = quotemeta $open{$fd};
        for my $name (grep { m{^$directory/[^/]+$} } keys %named, keys %kept) {
            if ($named{$name}) { $kept{$name} = $named{$name} } else { delete $kept{$name} }
        }
    } elsif ($call =~ /^rename/) {
        my $file = delete $named{ $paths[0] } or next;
        appears($paths[1]);
        $named{ $paths[1] } = $file;
        $versions{ $paths[1] }{ $file->{data} } = 1;
    } elsif ($call =~ /^unlink/) {
        delete $named{ $paths[0] } or next;
        $removed{ $paths[0] } = 1;
    } else {
        next;
    }
    look($line);
}
for my $file (@files) {
    my @bad = $before{$file} || $named{$file} ? @{ $anew{$file} // [] } : ();
    push @bad, @{ $missed{$file} // [] } unless $removed{$file};
    $good += @{ $anew{$file} // [] } + @{ $missed{$file} // [] } - @bad;
    print @bad;
    $tried++;
    my ($at, $kept) = ($named{$file}, $kept{$file});
    if (!$at == !$kept && (!$at || $at->{data} eq $kept->{synced})) { $good++ }
    else { print "in the end $file is not what a disk has that wrote what was synced\n" }
}
die "nothing was seen of @files\n" unless grep { $versions{$_} } @files;
print "$good of $tried\n";
