"""What all formats share: the words, the numbers, the footnotes, the summary and the charts."""
