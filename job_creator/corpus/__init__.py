"""What builds left besides packages, beside a build cache: how much there is, what lacks, under which licenses."""
