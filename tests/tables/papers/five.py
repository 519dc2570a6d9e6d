"""Five tables in the forms that papers of the tasks use; every text and number in them is made up for the tests."""

MODULES = r"""
\documentclass{article}
\newcommand{\best}[1]{\textbf{#1}}
\newcommand{\std}[1]{{\scriptsize$\pm$#1}}
\begin{document}
Some text with 12 numbers \& a table.
\begin{table*}[t]
  \centering
  \caption{Attention modules on CIFAR-100~\cite{data}. Best in \textbf{bold}.}
  \label{tab:modules}
  \resizebox{\linewidth}{!}{%
  \begin{tabular}{@{}lllccrr@{}}
    \toprule
    \multirow{2}{*}{Backbone} & \multirow{2}{*}{Method} & \multirow{2}*{Year} & \multicolumn{2}{c}{Accuracy} &
      \multicolumn{2}{c}{Cost} \\
    \cmidrule(lr){4-5}\cmidrule(lr){6-7}
     & & & Top-1 (\%) $\uparrow$ & Top-5 (\%) $\uparrow$ & Params (M) $\downarrow$ & MACs (G) \\
    \midrule
    % a row that was left out & 1 & 2
    \multirow{4}{*}{ResNet-50} & Vanilla & 2016 & 71.20\std{0.31} & 90.4 & 23.71 & 1.31 \\
     & SENet~\cite{se} & 2018 & 72.05\std{0.22} & 91.0 & 26.22 & 1.31 \\[1pt]
     & CBAM\footnotemark[1] & 2018 & 72.40\std{0.40} & \best{91.9} & 26.24 & 1.32 \\
     & Triplet Attention (Ours) & 2021 & \best{72.66}\std{0.18} & 91.7$^{\dagger}$ & 23.71 & 1.36 \\
    \bottomrule
  \end{tabular}}
\end{table*}
\end{document}
"""

BACKBONES = r"""
\begin{table}
\setlength{\tabcolsep}{4pt}
\begin{tabular}{l|c|c|c}
\hline\hline
Model & Params. (M) & FLOPs (G) & Top-1 Acc (\%) \\
\hline
\rowcolor{gray!20}\multicolumn{4}{l}{\emph{Small}} \\
VAN-B0 & 4.1 & 0.9 & 75.12 \\
PVT-Tiny\tnote{a} & 13.2 & 1.9 & 74.9 \\
\hline
\multicolumn{4}{l}{\emph{Larger}} \\
VAN-B1 & {13.9} & {2.5} & \textbf{81.03} \\
ResNet-18 & 11.7 & 1.8 & 69.5 \\
\hline
\end{tabular}
\caption{Comparison on ImageNet-1K validation.}
\end{table}
"""

BLOCKS = r"""
\begin{table}[h]\centering\footnotesize
\begin{tabular}{|l|c|c|}
\hline
Description & Top-1 Error (\%) & Top-5 Error (\%) \\ \hline\hline
ResNet50 (baseline) & 25.10 & 7.92 \\
ResNet50 + SE & 24.01 & 7.20 \\
ResNet50 + BAM & 24.33 & 7.31 \\
ResNet50 + CBAM (k = 7) & \bf{23.02} & \bf{6.88} \\ \hline
\end{tabular}
\caption{Spatial attention.}
\end{table}
"""

WALKS = r"""
\begin{tabularx}{\textwidth}{Xcccc}
\toprule
Model & NM & BG & CL & Mean \\
\midrule
Baseline & 97.1 & 93.0 & 77.9 & 89.3 \\
ConvLSTM & \textbf{97.4} & 92.2 & \underline{76.3} & 88.6 \\
PartLSTM$^\ast$ & 96.9 & \textbf{93.4} & 74.5 & 88.3 \\
GaitWhatever & diverged & diverged & diverged & -- \\
\bottomrule
\end{tabularx}
"""

LANES = r"""
\begin{table*}
\caption{State of the art on CULane}
\scalebox{0.8}{
\begin{tabular}{lcccccc}
\toprule
\textbf{Method} & \textbf{mF1} & \textbf{F1@50} & \textbf{F1@75} & \textbf{Crowd} & \textbf{Cross} & \textbf{FPS} \\
\midrule
LaneLM & 54.32 & 78.91 & 61.05 & 76.88 & 1,034 & 71 \\
SCNN~\cite{a} & 38.84 & 71.60 & 39.84 & 69.70 & 1,990 & 7.5 \\
CLRNet & \textbf{55.23} & \textbf{79.58} & \textbf{62.21} & \textbf{78.33} & 1,321 & n/a \\
\bottomrule
\end{tabular}}
\end{table*}
"""

TWO_SETS = r"""
\begin{table}
\caption{Top-1 accuracy (\%) of ResNet-18.}
\begin{tabular}{lccc}
\toprule
Method & CIFAR-10 & CIFAR-100 & Params (M) \\
\midrule
Vanilla & 93.1 & 71.2 & 11.2 \\
SE & 93.8 & \textbf{72.0} & 11.3 \\
CA & \textbf{94.0} & 71.9 & 11.3 \\
\bottomrule
\end{tabular}
\end{table}
"""
